package ipc

import "fmt"

// The errors of fob.Store; the interface definition says when each occurs.
type (
	StoreLocked    struct{}
	StoreNotLocked struct{}
	StoreHeld      struct {
		PID     int    `json:"pid,omitempty"`
		Program string `json:"program,omitempty"`
	}
	StoreCorrupt struct {
		Path    string `json:"path"`
		Problem string `json:"problem"`
	}
	StoreReadOnly struct {
		Problem string `json:"problem"`
	}
	StoreFull struct {
		Problem string `json:"problem"`
	}
	StoreWrongKey struct {
		Sealer  string `json:"sealer"`
		Problem string `json:"problem"`
	}
	StoreNewer struct {
		Problem string `json:"problem"`
	}
	StoreNotEmpty struct{}
	BackupInvalid struct {
		Problem string `json:"problem"`
	}
	PassphraseWrong struct{}
	StoreBusy       struct{}
	StoreUnusable   struct {
		Problem string `json:"problem"`
	}
)

func (StoreLocked) VarlinkError() string     { return "fob.Store.Locked" }
func (StoreNotLocked) VarlinkError() string  { return "fob.Store.NotLocked" }
func (StoreHeld) VarlinkError() string       { return "fob.Store.Held" }
func (StoreCorrupt) VarlinkError() string    { return "fob.Store.Corrupt" }
func (StoreReadOnly) VarlinkError() string   { return "fob.Store.ReadOnly" }
func (StoreFull) VarlinkError() string       { return "fob.Store.Full" }
func (StoreWrongKey) VarlinkError() string   { return "fob.Store.WrongKey" }
func (StoreNewer) VarlinkError() string      { return "fob.Store.Newer" }
func (StoreNotEmpty) VarlinkError() string   { return "fob.Store.NotEmpty" }
func (BackupInvalid) VarlinkError() string   { return "fob.Store.BackupInvalid" }
func (PassphraseWrong) VarlinkError() string { return "fob.Store.PassphraseWrong" }
func (StoreBusy) VarlinkError() string       { return "fob.Store.Busy" }
func (StoreUnusable) VarlinkError() string   { return "fob.Store.Unusable" }

func (StoreLocked) Error() string { return "the store is locked" }
func (StoreNotLocked) Error() string {
	return "the store has neither a passphrase nor a PIN, and is not locked"
}
func (e StoreHeld) Error() string {
	if e.PID == 0 {
		return "another program has the store open"
	}
	return fmt.Sprintf("%s (process %d) has the store open", e.Program, e.PID)
}
func (e StoreCorrupt) Error() string  { return fmt.Sprintf("%s: %s", e.Path, e.Problem) }
func (e StoreReadOnly) Error() string { return e.Problem }
func (e StoreFull) Error() string     { return e.Problem }
func (e StoreWrongKey) Error() string { return e.Problem }
func (e StoreNewer) Error() string    { return e.Problem }
func (StoreNotEmpty) Error() string   { return "the store is not empty, and nothing is imported" }
func (e BackupInvalid) Error() string { return e.Problem }
func (PassphraseWrong) Error() string { return "wrong passphrase or PIN, or no identity that opens it" }
func (StoreBusy) Error() string       { return "another export, import or seal of the store goes on" }
func (e StoreUnusable) Error() string { return e.Problem }

func (StoreLocked) Hint() string    { return "open it with 'fob store unlock'" }
func (StoreNotLocked) Hint() string { return "'fob store status' shows how it is sealed" }
func (StoreHeld) Hint() string      { return "end that one, or give this fobd another folder with --state" }
func (StoreCorrupt) Hint() string {
	return "bring a backup back with 'fob store import --replace FILE', or begin anew with 'fob store reset'; " +
		"both keep the damaged file aside"
}
func (StoreReadOnly) Hint() string { return "see that fobd may write there" }
func (StoreFull) Hint() string     { return "make room, and repeat; nothing was lost" }
func (StoreWrongKey) Hint() string {
	return "bring back what had sealed it, or a backup with 'fob store import --replace FILE'"
}
func (StoreNewer) Hint() string      { return "use that fob, or a newer one" }
func (StoreNotEmpty) Hint() string   { return "--replace keeps what is there aside, and imports" }
func (BackupInvalid) Hint() string   { return "'fob store export' writes backups" }
func (PassphraseWrong) Hint() string { return "" }
func (StoreBusy) Hint() string       { return "repeat in a moment" }
func (StoreUnusable) Hint() string   { return "docs/store.md tells what fobd needs" }

// storeErrors holds a value of each type.
var storeErrors = []Error{
	StoreLocked{}, StoreNotLocked{}, StoreHeld{}, StoreCorrupt{}, StoreReadOnly{}, StoreFull{}, StoreWrongKey{},
	StoreNewer{}, StoreNotEmpty{}, BackupInvalid{}, PassphraseWrong{}, StoreBusy{}, StoreUnusable{},
}
