package access

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"fob/fido"
	"fob/fido/pcsc"
)

// readerTime is how long pcscd may take to tell of its readers.
const readerTime = 5 * time.Second

// ErrNoFIDO is what look says of a card that is no key.
var ErrNoFIDO = errors.New("no FIDO application")

// Readers says why keys at NFC readers can't be used: pcscd, polkit, readers, and cards in them, at which look looks.
// The error of look is nil for a key, ErrNoFIDO, fido.ErrDeviceBusy or another. Nobody needs a reader who has none, so
// that none of it is Wrong but a card that ought to work.
func (s System) Readers(ctx context.Context, look func(ctx context.Context, reader string) error) []Finding {
	ctx, cancel := context.WithTimeout(ctx, readerTime)
	defer cancel()
	client, err := pcsc.Dial(ctx, s.Path(pcsc.Socket()))
	if err != nil {
		return []Finding{s.noPCSCD(err)}
	}
	defer client.Close()
	readers, err := client.Readers(ctx)
	switch {
	case err != nil:
		return []Finding{s.noPCSCD(err)}
	case len(readers) == 0:
		return []Finding{{Code: NoReader, Level: Note, What: "pcscd sees no NFC reader",
			Do: "plug one in, if you have one; its driver may be missing: sudo apt install libccid"}}
	}
	var list []Finding
	for _, r := range readers {
		if !r.HasCard() {
			list = append(list, Finding{
				Code: ReaderEmpty, Level: OK, What: "the reader " + clean(r.Name) + " waits for a key"})
			continue
		}
		list = append(list, s.card(r.Name, look(ctx, r.Name)))
	}
	return list
}

// pcscdProgram is where Debian and others have pcscd.
const pcscdProgram = "/usr/sbin/pcscd"

func (s System) noPCSCD(err error) Finding {
	_, missing := os.Stat(s.Path(pcscdProgram))
	switch {
	case errors.Is(err, pcsc.ErrRefused):
		return Finding{Code: PCSCDRefuses, Level: Note,
			What: "pcscd does not let us use cards in readers: polkit lets the user at the screen alone, " + s.atSeat(),
			Do:   "log in at the screen, or allow org.debian.pcsc-lite.access_pcsc and access_card in /etc/polkit-1/rules.d"}
	case errors.Is(err, pcsc.ErrNoService) && missing != nil:
		return Finding{Code: NoPCSCD, Level: Note, What: "pcscd, which NFC readers need, is not installed",
			Do: "for keys at NFC readers: sudo apt install pcscd libccid"}
	case errors.Is(err, pcsc.ErrNoService):
		return Finding{Code: PCSCDStopped, Level: Note, What: "pcscd, which NFC readers need, does not run",
			Do: "for keys at NFC readers: sudo systemctl enable --now pcscd.socket"}
	}
	return Finding{Code: PCSCDFails, Level: Note, What: fmt.Sprintf("pcscd, which NFC readers need, can't be used: %v", err),
		Do: "sudo systemctl restart pcscd"}
}

func (s System) card(reader string, err error) Finding {
	at := " at " + clean(reader)
	switch {
	case err == nil:
		return Finding{Code: CardReady, Level: OK, What: "the key" + at + " answers"}
	case errors.Is(err, ErrNoFIDO):
		return Finding{
			Code: NotFIDO, Level: Note, What: "the card" + at + " is no FIDO key, or has that switched off over NFC"}
	case errors.Is(err, pcsc.ErrSecurityViolation):
		return s.noPCSCD(pcsc.ErrRefused)
	case !errors.Is(err, fido.ErrDeviceBusy):
		return Finding{Code: CardFails, Level: Wrong, What: fmt.Sprintf("the card%s does not answer: %v", at, err),
			Do: "take it away, and hold it there again until it is done"}
	}
	f := Finding{Code: CardHeld, Level: Note, Processes: s.CardHolders(), Do: "close the program that uses the card",
		What: "another program has the card" + at + " for itself"}
	if len(f.Processes) > 0 {
		f.What = "another program, perhaps GnuPG's scdaemon, has the card" + at + " for itself"
		f.Do = "gpgconf --kill scdaemon; for good: echo 'pcsc-shared' >>~/.gnupg/scdaemon.conf"
	}
	return f
}
