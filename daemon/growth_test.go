package daemon

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"fob/fido"
	"fob/ipc/varlink"
)

// descriptions gives all interfaces of the daemon at socket, from the daemon itself.
func descriptions(t *testing.T, socket string) (list []*varlink.Interface) {
	t.Helper()
	conn, err := varlink.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var info struct {
		Interfaces []string `json:"interfaces"`
	}
	if err := conn.Call(t.Context(), "org.varlink.service.GetInfo", nil, &info); err != nil {
		t.Fatal(err)
	}
	for _, name := range info.Interfaces {
		var out struct {
			Description string `json:"description"`
		}
		in := map[string]string{"interface": name}
		if err := conn.Call(t.Context(), "org.varlink.service.GetInterfaceDescription", in, &out); err != nil {
			t.Fatal(err)
		}
		i, err := varlink.ParseInterface(out.Description)
		if err != nil {
			t.Fatal(name, err)
		}
		list = append(list, i)
	}
	return list
}

// meant has words for members that don't take just any.
var meant = map[string]string{"to": "passphrase", "data": "AAAA"}

// sample gives parameters of a type that are right as far as the interface says: what may be left out is.
func sample(i *varlink.Interface, t *varlink.Type) any {
	switch t.Kind {
	case varlink.KindReference:
		for _, d := range i.Types {
			if d.Name == t.Name {
				return sample(i, d.Type)
			}
		}
	case varlink.KindStruct:
		fields := make(map[string]any)
		for _, f := range t.Fields {
			if f.Type.Kind != varlink.KindNullable {
				fields[f.Name] = sample(i, f.Type)
			}
			if word, ok := meant[f.Name]; ok && f.Type.Kind == varlink.KindString {
				fields[f.Name] = word
			}
		}
		return fields
	case varlink.KindEnum:
		return t.Fields[0].Name
	case varlink.KindArray:
		return []any{sample(i, t.Elem)}
	case varlink.KindBool:
		return true
	case varlink.KindInt, varlink.KindFloat:
		return 8
	case varlink.KindString:
		return "x"
	}
	return map[string]any{} // an object, or a dictionary
}

// waits is the outcome of a call that was taken and has not been answered for a while.
const waits = "waits"

// outcome is the name of the error, or the names of the members of the first reply to a call.
func outcome(t *testing.T, socket, method string, in any) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	conn, err := varlink.Dial(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for reply, err := range conn.Stream(ctx, method, in) {
		var named varlink.Named
		switch {
		case errors.As(err, &named) && named.VarlinkError() == "fob.Store.Busy":
			return outcome(t, socket, method, in) // until the call before has noticed that its caller hung up
		case errors.As(err, &named):
			return named.VarlinkError()
		case errors.Is(err, context.DeadlineExceeded):
			return waits
		case err != nil:
			t.Fatal(method, err)
		}
		var members map[string]any
		if err := reply.Bind(&members); err != nil {
			t.Fatal(method, err)
		}
		return strings.Join(slices.Sorted(maps.Keys(members)), " ")
	}
	return ""
}

// TestNewerCallers: every method of every interface takes calls of a program that knows more than this fobd does, and of
// one that knows nothing but what it must.
func TestNewerCallers(t *testing.T) {
	source := newFakeWatcher(fido.DeviceInfo{ID: "k1", Path: "/dev/k1"})
	source.open = func(fido.DeviceID) (fido.Authenticator, error) { return nil, fido.ErrDenied }
	socket := serve(t, source).Socket
	methods := 0
	for _, i := range descriptions(t, socket) {
		for _, m := range i.Methods {
			methods++
			in := sample(i, m.In).(map[string]any)
			want := outcome(t, socket, i.Name+"."+m.Name, in)
			if strings.Contains(want, "InvalidParameter") {
				t.Errorf("%s.%s, without what may be left out: %s", i.Name, m.Name, want)
			}
			in["newerThanFobd"] = map[string]any{"a": []int{1}}
			if got := outcome(t, socket, i.Name+"."+m.Name, in); got != want && got != waits && want != waits {
				t.Errorf("%s.%s: %s with unknown members, %s without", i.Name, m.Name, got, want)
			}
		}
	}
	if methods < 20 {
		t.Errorf("only %d methods", methods)
	}
}
