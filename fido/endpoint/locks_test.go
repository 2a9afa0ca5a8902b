package endpoint

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fob/fido/ctaphid"
)

const someLocks = `1: POSIX  ADVISORY  WRITE 11 00:1a:3 0 EOF
2: FLOCK  ADVISORY  WRITE 22 00:1a:33 0 EOF
3: FLOCK  ADVISORY  WRITE 33 00:1a:3 0 EOF
3: -> FLOCK  ADVISORY  WRITE 44 00:1a:4 0 EOF
4: OFDLCK ADVISORY  READ  -1 00:06:2 0 EOF
5: FLOCK  ADVISORY  WRITE -1 00:06:2 0 EOF
`

func TestFindLock(t *testing.T) {
	for name, want := range map[string]int{"00:1a:3": 33, "00:1a:33": 22, "00:1a:4": 0, "00:06:2": 0, "": 0} {
		if got := findLock(strings.NewReader(someLocks), name); got != want {
			t.Errorf("%s: process %d, want %d", name, got, want)
		}
	}
}

// FuzzLocks looks for locks in arbitrary text: what it finds is there.
func FuzzLocks(f *testing.F) {
	f.Add(someLocks, "00:1a:3")
	f.Fuzz(func(t *testing.T, locks, name string) {
		pid := findLock(strings.NewReader(locks), name)
		words := strings.Fields(locks)
		if pid < 0 || pid > 0 && !(slices.Contains(words, name) && slices.ContainsFunc(words, func(w string) bool {
			n, err := strconv.Atoi(w)
			return err == nil && n == pid
		})) {
			t.Errorf("%q, %q: process %d", locks, name, pid)
		}
	})
}

func TestLockHolder(t *testing.T) {
	p := plugIn(t, newKey())
	name, err := lockName(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	h := openHost(t, p.Path())
	defer h.close()
	if pid := lockHolder(name); pid != 0 {
		t.Errorf("locked by %d", pid)
	}
	h.lock(t)
	if pid := lockHolder(name); pid != os.Getpid() {
		t.Errorf("locked by %d, want %d", pid, os.Getpid())
	}
}

// lock waits until the other hosts have unlocked the terminal, as libfido2 does.
func (h host) lock(t *testing.T) {
	t.Helper()
	if err := unix.Flock(h.fd, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

// Hosts that take turns: one that goes in the middle of something leaves nothing behind, though the next one has the
// terminal open already.
func TestNextInTurn(t *testing.T) {
	leave := map[string]func(t *testing.T, h host, k *key){
		"lit": func(t *testing.T, h host, k *key) {
			request(t, h, channel(t, h), "touch")
			await(t, "lit", k.lit)
		},
		"unread INIT":  func(t *testing.T, h host, _ *key) { askInit(t, h) },
		"unread reply": func(t *testing.T, h host, _ *key) { request(t, h, channel(t, h), "e"+string(make([]byte, 1000))) },
		"half message": func(t *testing.T, h host, _ *key) {
			h.WriteReport(t.Context(), ctaphid.Packet{CID: channel(t, h), Initial: true, Command: ctaphid.CommandCBOR,
				BCNT: 99}.Report())
		},
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			p, err := OpenPTY()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			dealtWith := make(chan struct{}, 1000)
			p.Device.Link = func(c ctaphid.Conn) ctaphid.Conn { return &hangUps{Conn: c, dealtWith: dealtWith} }
			k := newKey()
			go p.Serve(t.Context(), k)
			h := openHost(t, p.Path())
			h.lock(t)
			for range 20 {
				next, bystander := openHost(t, p.Path()), openHost(t, p.Path())
				leave(t, h, k)
				bystander.close() // which is no hang-up
				h.close()
				await(t, "hang-up", dealtWith)
				if name == "lit" {
					await(t, "dark", k.dark)
				}
				next.lock(t)
				echoesTo(t, &impatient{host: next})
				h = next
			}
			h.close()
		})
	}
}

// The host that speaks has the terminal locked: others that close it are none of its business.
func TestOthersClose(t *testing.T) {
	k := newKey()
	p := plugIn(t, k)
	h := openHost(t, p.Path())
	defer h.close()
	h.lock(t)
	cid := channel(t, h)
	for range 50 {
		other := openHost(t, p.Path())
		request(t, h, cid, "touch")
		await(t, "lit", k.lit)
		other.close()
		k.touch <- struct{}{}
		for {
			r, err := h.ReadReport(waiting(t))
			if err != nil {
				t.Fatal(err)
			}
			if ctaphid.ParsePacket(r).Command == ctaphid.CommandCBOR {
				if got := string(ctaphid.ParsePacket(r).Data[:8]); got != "\x00touched" {
					t.Fatalf("reply %q", got)
				}
				break
			}
		}
		await(t, "dark", k.dark)
	}
}
