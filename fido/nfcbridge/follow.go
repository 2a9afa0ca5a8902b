package nfcbridge

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"fob/fido/hidraw"
	"fob/fido/pcsc"
)

// Pauses between attempts to reach a pcscd that is being started, or starts and ends again.
const (
	firstPause = 100 * time.Millisecond // doubled each time
	attempts   = 8                      // all together take 25 s
	longRun    = time.Minute            // whoever ran so long is well
)

// Follow is Run for as long as ctx lasts: from when pcscd is there, and again when it was started anew. It waits for
// changes of the folder that pcscd's socket is in, and of logind's seats, since polkit lets the user at the screen use
// cards; nobody polls. It returns ctx.Err(), or an error of inotify.
//
// Where systemd starts pcscd for its first client, we are that, and pcscd runs as long as we do.
func (w *Watcher) Follow(ctx context.Context, event func(Event)) error {
	nodes, err := hidraw.NewNodes()
	if err != nil {
		return err
	}
	defer nodes.Close()
	said := ""
	for left, pause := attempts, firstPause; ; {
		w.followFolders(nodes)
		begun := time.Now()
		err := w.Run(ctx, event)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.setProblem(err)
		if said != err.Error() {
			said = err.Error()
			w.log().Debug("cards in readers can't be used", "why", err)
		}
		if time.Since(begun) >= longRun {
			left, pause = attempts, firstPause
		}
		hopeful := left > 0 && !errors.Is(err, os.ErrNotExist) // without a socket, pcscd has not begun
		changed, err := await(ctx, nodes, hopeful, pause)
		if err != nil {
			return err
		}
		if changed {
			left, pause = attempts, firstPause
		} else {
			left, pause = left-1, 2*pause
		}
	}
}

// await waits for a change of a folder, and where there is hope no longer than pause.
func await(ctx context.Context, nodes *hidraw.Nodes, hopeful bool, pause time.Duration) (changed bool, err error) {
	waiting := ctx
	if hopeful {
		var stop context.CancelFunc
		waiting, stop = context.WithTimeout(ctx, pause)
		defer stop()
	}
	_, changed, err = nodes.Wait(waiting)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return changed, err
}

// seats is where logind says who sits at the screens.
const seats = "/run/systemd/seats"

// followFolders follows the folder of the socket and those above it, from the top down, lest one is missed that is
// being made meanwhile.
func (w *Watcher) followFolders(nodes *hidraw.Nodes) {
	folder := filepath.Dir(cmp.Or(w.Socket, pcsc.Socket()))
	all := []string{seats, folder}
	for ; folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		all = append(all, filepath.Dir(folder))
	}
	for _, f := range slices.Backward(all) {
		_ = nodes.FollowFolder(f) // which may not be there
	}
}
