package oathkey

import (
	"context"
	"testing"

	"fob/fido/pcsc/pcscdtest"
	"fob/hotp"
	"fob/hotp/ykoath"
)

// BenchmarkCodes has a key in the virtual reader make codes: in one session, and in a session for each.
func BenchmarkCodes(b *testing.B) {
	pcscdtest.Start(b)
	insert(b, addr0, newApplet(), nil)
	mine, err := Keys{}.Find(until(b), "")
	if err != nil {
		b.Fatal(err)
	}
	k := Keeper{DeviceID: mine.DeviceID, Account: ykoath.Account{Account: "a"}}
	h, err := k.Put(until(b), "", hotp.DefaultTOTP, seed20)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("session", func(b *testing.B) {
		use(b, func(ctx context.Context, s *ykoath.Session) error {
			for b.Loop() {
				if _, err := s.Code(ctx, "a", 1); err != nil {
					return err
				}
			}
			return nil
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "codes/s")
	})
	b.Run("each", func(b *testing.B) {
		for b.Loop() {
			if _, err := k.Code(context.Background(), h, hotp.DefaultTOTP, 1); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "codes/s")
	})
}
