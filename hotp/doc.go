// Package hotp makes and verifies one-time passwords: HOTP (RFC 4226) and its variant by the clock, TOTP (RFC 6238).
//
// # Codes
//
// A code is made from a seed, which the token and its verifier share, and a moving factor, which is another one for
// each code. HOTP counts codes; TOTP counts time steps of 30 seconds, mostly.
//
//	seed, err := hotp.ParseSeed([]byte("gezd gnbv gy3t qojq gezd gnbv gy3t qojq"))
//	step, err := hotp.DefaultTOTP.Step(time.Now())
//	code, err := hotp.DefaultTOTP.Code(seed, step)
//
// # Verifying
//
// To make the same code and compare is the small part. A verifier must also remember: which codes were used, how
// wrong the token's clock is, how often somebody guessed. All of that is a [State], a small comparable value that the
// caller stores beside the seed. [Policy] has the rules. Its methods [Policy.Verify], [Policy.Resync] and
// [Policy.Enroll] are pure functions: they take the state, and give the one that is to take its place.
//
//	after, err := hotp.DefaultPolicy.Verify(parameters, seed, before, code, time.Now())
//
// The new state counts whatever the error says: failures are in it, too. Store it by an atomic compare-and-set, which
// succeeds only where the stored state is still the one that was given (compare [State.Revision], or all of it), and
// answer the person afterwards. Who loses the race loads the state and verifies again:
//
//	UPDATE tokens SET state = :after, revision = :after_revision WHERE serial = :serial AND revision = :before_revision
//
// That is what makes a code valid once. Of a hundred who present the same one at the same time, one wins; the others
// find it used, or are refused for coming right after one who did. And it is what makes guesses count: whoever
// answers before the state is stored lets a thousand guesses at a time pass for one. The example "SingleUse" is such
// a loop.
//
// # One code, once
//
// A verifier must not accept a code a second time (RFC 6238 §5.2). The state therefore has the lowest moving factor
// that may still be used, and it only grows. A code consumes its own factor and all before it. Now and then,
// neighbouring factors have the same code, and one code matches two of them; then the highest counts, so that none
// stays behind to be used again. A code that matches a factor of the window that is consumed is [ErrUsed], even if it
// matches a live one as well: the person waits for the next code, a few times in a million.
//
// # Clocks and counters that walk away
//
// A TOTP code is looked for from Behind steps before to Ahead steps after the step of the clock, because it takes
// time to type and clocks are not the same (RFC 6238 §5.2). The step at which it was found is remembered as the
// token's drift, and the next window lies around that (§6). So a token may lose a step each month and work for years,
// as long as it is used, while the window stays as small as it was. MaxDrift bounds it.
//
// A HOTP token counts on when its button is pressed and the code goes nowhere; it is looked for among the LookAhead
// counters after the next one (RFC 4226 §7.2, §7.4).
//
// Where a token is further off, two consecutive codes prove it ([Policy.Resync]), for which a wide range is safe: a
// pair of guesses among 1,000 steps is right once in a thousand million times, with six digits. Both are consumed
// then. [Policy.Enroll] asks the same of a token that was never used, so that nobody is enrolled with a token that
// doesn't work.
//
// # Guessing
//
// With d digits, a window of w factors and n attempts, somebody who guesses succeeds with a probability of about w·n
// / 10^d (RFC 4226 §7.3 and appendix A.4.2). The default policy has w = 3 for TOTP and 11 for HOTP, and n = 100: one
// in 3,300 and one in 900, at the price of a locked token. After each failure, attempts are refused for a while
// ([ThrottledError]): one second after the first, twice as long after each further one, up to 15 minutes. That is 22
// hours for the hundred. Then the token is locked ([ErrLocked]), as NIST SP 800-63B-4 §3.2.2 demands. A right code
// begins the count anew. Resync and Enroll share the count, the delay and the lock with Verify.
//
// An attempt that is refused is not looked at: it does not count as failure, and its code is not consumed. So whoever
// fires a thousand wrong codes in a minute costs the owner six of the hundred attempts and a wait of half a minute,
// not the token. Neither does a code count that can't be one, such as five digits ([CodeError]).
//
// Still, whoever can attempt at all can keep the owner out, by a wrong code each time that the delay is over, and
// lock the token within a day. No verifier that must bound guesses can help it; who calls it can. Ask for the first
// factor before the code, limit attempts by their source before they come here, tell the owner of failures, and have
// another factor for a locked token. Policies with a shorter MaxDelay shut the owner out for less time and lock
// sooner; those with a longer one do the reverse.
//
// # Secrets
//
// A [Seed] neither prints nor marshals itself. Codes are compared in constant time, and all factors of a window are
// tried wherever the match is, so that the time tells nothing about it. What is made of a seed on the way to a code is
// wiped; tests hold the codes to those of github.com/pquerna/otp and oathtool.
package hotp
