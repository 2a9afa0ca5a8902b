// Package nfcbridge makes FIDO cards in PC/SC readers usable by programs that know USB keys alone, such as Debian's
// libfido2, which has no PC/SC support: each card becomes a pseudo-terminal that speaks CTAPHID on one side, while the
// card is asked over ISO 7816 on the other.
//
// A [Key] is a card as a ctap.Handler. A [Watcher] waits for cards to be held to readers and plugs them in, each as
// long as it stays there. Watcher.Devices suits helper.Source.Extra; its events say why a card can't be used, and when
// it has to be tapped again.
package nfcbridge
