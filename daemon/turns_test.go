package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"fob/fido"
	"fob/ipc"
)

func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		var mu sync.Mutex
		var happened []string
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			happened = append(happened, fmt.Sprintf(format, args...))
		}
		// then checks what has happened, in any order, since it was called before.
		then := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(happened)
			if !slices.Equal(happened, want) {
				t.Errorf("got %q, want %q", happened, want)
			}
			happened = nil
		}
		enter := func(ctx context.Context, name string) (leave func()) {
			over := make(chan struct{})
			go func() {
				done, err := turns.wait(ctx, "key", func(n int) error { note("%s waits for %d", name, n); return nil })
				if err != nil {
					note("%s gives up", name)
					return
				}
				note("%s has the key", name)
				<-over
				done()
			}()
			return func() { close(over) }
		}
		impatient, giveUp := context.WithCancel(t.Context())
		a := enter(t.Context(), "a")
		then("a has the key")
		enter(impatient, "b")
		then("b waits for 1")
		c := enter(t.Context(), "c")
		then("c waits for 2")
		d := enter(t.Context(), "d")
		then("d waits for 3")
		giveUp()
		then("b gives up", "c waits for 1", "d waits for 2")
		a()
		then("c has the key", "d waits for 1")
		c()
		then("d has the key")
		d()
		then()
		if len(turns.queues) != 0 {
			t.Errorf("queues left: %v", turns.queues)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		ctx, leave := context.WithCancel(t.Context())
		enter := func() { turns.wait(ctx, "key", func(int) error { return nil }) }
		enter()
		for range maxWaiting {
			go enter()
		}
		synctest.Wait()
		if _, err := turns.wait(ctx, "key", nil); !errors.Is(err, ipc.DeviceBusy{}) {
			t.Error(err)
		}
		leave()
	})
}

func TestKeysDoNotWaitForEachOther(t *testing.T) {
	var turns turns
	for _, id := range []fido.DeviceID{"one", "two"} {
		done, err := turns.wait(t.Context(), id, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer done()
	}
}
