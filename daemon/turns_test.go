package daemon

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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

// TestEndingTurn: a key whose ceremony is all but over counts as free, and who comes next hears of no queue.
func TestEndingTurn(t *testing.T) {
	var turns turns
	quiet := func(n int) error { return fmt.Errorf("told of place %d", n) }
	done, err := turns.wait(t.Context(), "key", quiet)
	if err != nil {
		t.Fatal(err)
	}
	if turns.free("key") {
		t.Error("free while it is in use")
	}
	if _, err := turns.wait(t.Context(), "key", quiet); err == nil {
		t.Error("not told of the queue")
	}
	turns.end("key")
	if !turns.free("key") {
		t.Error("not free though it ends")
	}
	next := make(chan error)
	go func() {
		done, err := turns.wait(t.Context(), "key", quiet)
		if err == nil {
			done()
		}
		next <- err
	}()
	for turns.free("key") { // until it has its place
		runtime.Gosched()
	}
	done()
	if err := <-next; err != nil {
		t.Error(err)
	}
	if !turns.free("key") || len(turns.queues) != 0 {
		t.Error("something is left", turns.queues)
	}
}
