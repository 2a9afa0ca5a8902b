// Package fault makes an emulated key fail: packets that are lost or come wrong, answers that make no sense, a key that
// hangs, is pulled out in the middle of a message, or has its PIN blocked. What goes wrong, and when, is told in words;
// the same words and seed, and the same traffic, give the same faults again.
//
//	in := fault.New(1, fault.MustParse("unplug out packet 2 of makeCredential"))
//	key, err := softkey.Plug(ctx, in.Options(softkey.Options{}))
//
// These are the words, and this text is Grammar too:
//
//	A fault is what goes wrong, and when. One of
//	    EFFECT in|out packet COUNT [of MESSAGE [COUNT]]
//	    EFFECT in|out apdu COUNT
//	    EFFECT on|after COMMAND [COUNT]
//	    EFFECT                           when the key is plugged in first
//	"in" is towards the key. "on" a command is before the key performs it, and
//	mostly in place of that; "after" it, the key has performed it and not answered
//	yet. COUNT is 3 for the third one, 3+ for the third and all later ones, 2% for
//	each with this probability, and 1 where it is left out. "of MESSAGE" counts the
//	packets of one message: a command or its answer. What an effect does not suit
//	is not counted, nor are keepalives, but "of keepalive".
//
//	Packets of CTAPHID, and messages: any COMMAND, init, ping, wink, lock, cancel,
//	keepalive, error
//	    drop                     it is lost
//	    duplicate                it comes twice
//	    delay D                  it comes D later, such as 500ms or 2s
//	    corrupt bit              one bit is wrong; the seed says which
//	    corrupt cid|seq|nonce    its channel is wrong, its sequence number, the
//	                             nonce of CTAPHID_INIT
//	    corrupt short|long|huge  it promises half of the message, a packet more
//	                             than there is, or 65535 bytes
//	    unplug [for D]           the key is pulled out before it comes, and put
//	                             back after D
//	APDUs of a card: delay, corrupt bit, unplug, and
//	    status 0xNNNN            this status word alone; "in": the card has not
//	                             seen the command
//	Commands: any, makeCredential, getAssertion, getNextAssertion, getInfo,
//	clientPIN, reset, bioEnrollment, credentialManagement, selection, largeBlobs,
//	config, bioEnrollmentPreview, credentialManagementPreview; those of clientPIN:
//	getPINRetries, getKeyAgreement, setPIN, changePIN, getPinToken, getUVRetries;
//	u2f, and those of U2F: u2fRegister, u2fAuthenticate, u2fVersion
//	    status S                 the answer is an error: PIN_BLOCKED, 0x32, or of
//	                             U2F 0x6985
//	    garbage                  success, and bytes that are no CBOR
//	    truncate                 half of the answer
//	    oversize                 the answer, and zeros up to 7609 bytes
//	    delay D                  the key takes D longer, and says that it is at
//	                             work
//	    keepalives N [every D] [status 0xNN]
//	                             N keepalives before the answer, 1ms apart, that
//	                             say "processing"
//	    hang                     no answer until it is cancelled
//	    hang deaf|silent         no answer, cancelled or not, until the key is
//	                             pulled out; no other packet either where it is
//	                             silent; a card obeys
//	    unplug [for D]           the key is pulled out, and put back after D
//	Commands, and the key when it is plugged in:
//	    slow D                   the next touch takes D longer
//	    clock D                  its clock jumps by D, such as 11s or -1h
//	    pin-retries N            N attempts are left for the PIN (0 to 8; 0 is
//	                             blocked)
//	    pin-auth-blocked         no PIN is taken until the key is put in again
//	    uv-retries N             N attempts are left for the finger (0 to 3)
//	Packets, APDUs and commands:
//	    random                   one of those above, by the seed
//
// A key that is pulled out answers nothing more, and its path is gone: the program that has it open sees it vanish.
package fault

// Grammar tells the words of Parse, for the help of programs.
const Grammar = `A fault is what goes wrong, and when. One of
    EFFECT in|out packet COUNT [of MESSAGE [COUNT]]
    EFFECT in|out apdu COUNT
    EFFECT on|after COMMAND [COUNT]
    EFFECT                           when the key is plugged in first
"in" is towards the key. "on" a command is before the key performs it, and
mostly in place of that; "after" it, the key has performed it and not answered
yet. COUNT is 3 for the third one, 3+ for the third and all later ones, 2% for
each with this probability, and 1 where it is left out. "of MESSAGE" counts the
packets of one message: a command or its answer. What an effect does not suit
is not counted, nor are keepalives, but "of keepalive".

Packets of CTAPHID, and messages: any COMMAND, init, ping, wink, lock, cancel,
keepalive, error
    drop                     it is lost
    duplicate                it comes twice
    delay D                  it comes D later, such as 500ms or 2s
    corrupt bit              one bit is wrong; the seed says which
    corrupt cid|seq|nonce    its channel is wrong, its sequence number, the
                             nonce of CTAPHID_INIT
    corrupt short|long|huge  it promises half of the message, a packet more
                             than there is, or 65535 bytes
    unplug [for D]           the key is pulled out before it comes, and put
                             back after D
APDUs of a card: delay, corrupt bit, unplug, and
    status 0xNNNN            this status word alone; "in": the card has not
                             seen the command
Commands: any, makeCredential, getAssertion, getNextAssertion, getInfo,
clientPIN, reset, bioEnrollment, credentialManagement, selection, largeBlobs,
config, bioEnrollmentPreview, credentialManagementPreview; those of clientPIN:
getPINRetries, getKeyAgreement, setPIN, changePIN, getPinToken, getUVRetries;
u2f, and those of U2F: u2fRegister, u2fAuthenticate, u2fVersion
    status S                 the answer is an error: PIN_BLOCKED, 0x32, or of
                             U2F 0x6985
    garbage                  success, and bytes that are no CBOR
    truncate                 half of the answer
    oversize                 the answer, and zeros up to 7609 bytes
    delay D                  the key takes D longer, and says that it is at
                             work
    keepalives N [every D] [status 0xNN]
                             N keepalives before the answer, 1ms apart, that
                             say "processing"
    hang                     no answer until it is cancelled
    hang deaf|silent         no answer, cancelled or not, until the key is
                             pulled out; no other packet either where it is
                             silent; a card obeys
    unplug [for D]           the key is pulled out, and put back after D
Commands, and the key when it is plugged in:
    slow D                   the next touch takes D longer
    clock D                  its clock jumps by D, such as 11s or -1h
    pin-retries N            N attempts are left for the PIN (0 to 8; 0 is
                             blocked)
    pin-auth-blocked         no PIN is taken until the key is put in again
    uv-retries N             N attempts are left for the finger (0 to 3)
Packets, APDUs and commands:
    random                   one of those above, by the seed
`
