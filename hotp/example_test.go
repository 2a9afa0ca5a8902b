package hotp_test

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"fob/hotp"
)

// The code that a token shows at a time, and for how long.
func Example() {
	seed, err := hotp.ParseSeed([]byte("gezd gnbv gy3t qojq gezd gnbv gy3t qojq"))
	if err != nil {
		panic(err)
	}
	defer seed.Wipe()
	now := time.Unix(1111111109, 0)
	step, err := hotp.DefaultTOTP.Step(now)
	if err != nil {
		panic(err)
	}
	code, err := hotp.DefaultTOTP.Code(seed, step)
	fmt.Println(code, err, hotp.DefaultTOTP.StepEnd(step).Sub(now))
	// Output: 081804 <nil> 1s
}

// A code is right once. The attempt after a failure is refused for a second.
func ExamplePolicy_Verify() {
	seed := hotp.Seed("12345678901234567890")
	now := time.Unix(1111111109, 0)
	s := hotp.State{}
	for _, code := range []string{"081804", "081 804", "050471"} {
		var err error
		s, err = hotp.DefaultPolicy.Verify(hotp.DefaultTOTP, seed, s, code, now)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// the code was used before, or is older than one that was: wait for the next one
	// wrong codes in a row: 1; try again at 2005-03-18T01:58:30Z
}

// Whoever enrols proves by two codes to have the token, and can't use either of them to sign in.
func ExamplePolicy_Enroll() {
	seed := hotp.Seed("12345678901234567890")
	now := time.Unix(1111111111, 0)
	s, err := hotp.DefaultPolicy.Enroll(hotp.DefaultTOTP, seed, hotp.State{}, "081804", "050471", now)
	fmt.Println(err)
	_, err = hotp.DefaultPolicy.Verify(hotp.DefaultTOTP, seed, s, "050471", now)
	fmt.Println(errors.Is(err, hotp.ErrUsed))
	// Output:
	// <nil>
	// true
}

// A button that was pressed twenty times in a pocket.
func ExamplePolicy_Resync() {
	seed := hotp.Seed("12345678901234567890")
	code1, _ := hotp.DefaultHOTP.Code(seed, 20)
	code2, _ := hotp.DefaultHOTP.Code(seed, 21)
	s, err := hotp.DefaultPolicy.Verify(hotp.DefaultHOTP, seed, hotp.State{}, code1, time.Unix(0, 0))
	fmt.Println(err)
	s, err = hotp.DefaultPolicy.Resync(hotp.DefaultHOTP, seed, s, code1, code2, time.Unix(1, 0))
	fmt.Println(err, s.Next)
	// Output:
	// the code is wrong
	// <nil> 22
}

// store is where a service has the states of its tokens: here in memory, else in a database.
type store struct {
	mutex  sync.Mutex
	states map[string]hotp.State
}

func (s *store) load(serial string) hotp.State {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.states[serial]
}

// compareAndSet stores a state where the one that is stored is still the one that the caller knows.
func (s *store) compareAndSet(serial string, before, after hotp.State) bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.states[serial] != before {
		return false
	}
	s.states[serial] = after
	return true
}

// verify answers after the new state is stored, and not before.
func (s *store) verify(serial string, seed hotp.Seed, code string, now time.Time) error {
	for {
		before := s.load(serial)
		after, err := hotp.DefaultPolicy.Verify(hotp.DefaultTOTP, seed, before, code, now)
		if after == before || s.compareAndSet(serial, before, after) {
			return err
		}
	}
}

// Of a hundred who present one code at the same time, one is let in.
func Example_singleUse() {
	seed := hotp.Seed("12345678901234567890")
	s := &store{states: make(map[string]hotp.State)}
	results := make(chan error)
	for range 100 {
		go func() { results <- s.verify("0001", seed, "081804", time.Unix(1111111109, 0)) }()
	}
	in, used, refused := 0, 0, 0
	for range 100 {
		switch err := <-results; {
		case err == nil:
			in++
		case errors.Is(err, hotp.ErrUsed):
			used++
		default: // too early after the one that was told that the code is used
			refused++
		}
	}
	fmt.Println(in, used, refused)
	// Output: 1 1 98
}
