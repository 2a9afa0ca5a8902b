// Package ykoath is a client of the OATH application of security keys: that of YubiKeys (YKOATH Protocol Specification,
// developers.yubico.com/OATH) and, as far as it is the same, that of Nitrokeys (Secrets). The seeds are in the key and
// never leave it; the key makes HMACs by them.
//
// [Select] begins a [Session] over a [Card], which is whatever carries command APDUs to the key. A session is short:
// other programs that use the key select their own applications, after which it needs a new one. Hold the card for as
// long as it lasts, by a transaction of PC/SC, and no longer.
//
//	s, err := ykoath.Select(ctx, card)
//	if s.Locked() {
//		err = s.Validate(ctx, s.AccessKey(password))
//	}
//	codes, err := s.All(ctx, time.Now())
//
// A key has no clock: it makes the code of any time step that it is asked for. So the two consecutive codes that an
// enrolment wants need no wait ([Session.Pair]).
//
// What a key answers is not trusted: it is bounded in size and number, and what does not fit the protocol is a
// *ReplyError. Time is bounded by the context alone, since a key may wait for a touch.
package ykoath
