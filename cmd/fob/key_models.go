package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido/metadata"
)

func (a *app) keyModels() *cobra.Command {
	c := &cobra.Command{
		Use:   "models",
		Short: "Look up what the FIDO Alliance knows about models of keys",
		Long: `The FIDO Alliance publishes which models of security keys there are, how they are certified, and
which are revoked or broken. fob does not fetch that by itself: download the BLOB, whose terms are
at https://fidoalliance.org/metadata/, and import it. No fobd and no key is needed.`,
		Example: "  curl -Lo blob.jwt " + metadata.URL + "\n  fob key models import blob.jwt\n  fob key models list yubikey",
		Args:    noArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.importModels(), a.listModels(), a.showModel())
	return c
}

// importFlags are those of 'fob key models import'.
type importFlags struct {
	root, name string
	replace    bool
}

func (a *app) importModels() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Check a BLOB of the FIDO Metadata Service, and keep what it says",
		Long: `import checks who has signed the BLOB in FILE, - for standard input, and keeps what it says about
models in fob/models.json in $XDG_DATA_HOME. The signer's certificate must be for ` + metadata.Name + `,
valid today, and vouched for by GlobalSign's root R46 or R3. An older BLOB than the one that is here
is refused. Nothing is fetched, so that certificates that were revoked meanwhile are not recognized.`,
		Args: exactly("name the FILE of a BLOB, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			service, err := f.service(c.Flags().Changed("name"))
			if err != nil {
				return err
			}
			return a.checkAndKeep(service, args[0], f.replace)
		},
	}
	c.Flags().StringVar(&f.root, "root", "",
		"trust the certification authorities in this PEM `FILE` instead of GlobalSign")
	c.Flags().StringVar(&f.name, "name", metadata.Name, "with --root: `NAME` in the signer's certificate")
	c.Flags().BoolVar(&f.replace, "replace", false,
		"replace what is here, though it is newer, of another service, or damaged")
	return c
}

// exactly wants one argument, and says otherwise what is missing.
func exactly(missing string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return program.Usage(errors.New(missing))
		}
		return program.NoArguments(args[1:])
	}
}

// service is the metadata service that the flags ask for.
func (f *importFlags) service(named bool) (metadata.Service, error) {
	if f.root == "" {
		if named {
			return metadata.Service{}, program.Usage(errors.New("--name goes with --root"))
		}
		return metadata.FIDO()
	}
	b, err := readFile(f.root, metadata.MaxRootsSize)
	if err != nil {
		return metadata.Service{}, err
	}
	roots, err := metadata.ParseRoots(b)
	if err != nil {
		return metadata.Service{}, program.Usage(fmt.Errorf("%s %w", f.root, err))
	}
	return metadata.Service{Name: strings.ToLower(f.name), Roots: roots}, nil
}

// readFile reads at most one byte more than size.
func readFile(path string, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, size+1))
}

func (a *app) checkAndKeep(service metadata.Service, file string, replace bool) error {
	path, err := metadata.DefaultPath()
	if err != nil {
		return err
	}
	blob, err := a.readBlob(file)
	if err != nil {
		return err
	}
	index, err := service.Verify(blob, time.Now())
	if err != nil {
		return err
	}
	if err := index.Save(path, replace); err != nil {
		return err
	}
	return a.printImported(index)
}

func (a *app) readBlob(file string) ([]byte, error) {
	if file == "-" {
		return metadata.Read(a.stdin)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return metadata.Read(f)
}

func (a *app) printImported(x *metadata.Index) error {
	if a.json {
		return a.printIndex(x, nil)
	}
	a.warnOverdue(x)
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "imported\t%s of BLOB %d\n", plural(len(x.Models), "model", "models"), x.Number)
	fmt.Fprintf(w, "signed by\t%s\n", x.Signer.Subject)
	fmt.Fprintf(w, "known to\t%s\n", x.Signer.Root)
	if x.NextUpdate != "" {
		fmt.Fprintf(w, "next BLOB\t%s at latest\n", x.NextUpdate)
	}
	if x.Others > 0 {
		fmt.Fprintf(w, "left out\t%s of U2F and UAF authenticators\n", plural(x.Others, "entry", "entries"))
	}
	if x.Unreadable > 0 {
		fmt.Fprintf(w, "left out\t%s not as the specification has it\n",
			plural(x.Unreadable, "entry that is", "entries that are"))
	}
	return w.Flush()
}

// warnOverdue warns when a newer BLOB should be there.
func (a *app) warnOverdue(x *metadata.Index) {
	if x.Overdue(time.Now()) {
		fmt.Fprintf(a.stderr, "warning: a newer BLOB was due on %s; download it from %s and import it\n",
			x.NextUpdate, metadata.URL)
	}
}

// shownModel is a model with what its reports mean today.
type shownModel struct {
	metadata.Model
	metadata.Verdict
}

// printIndex prints an index with these models as JSON.
func (a *app) printIndex(x *metadata.Index, models []shownModel) error {
	return a.printJSON(struct {
		*metadata.Index
		Models  []shownModel `json:"models,omitzero"`
		Count   int          `json:"count"` // of all models in the BLOB
		Overdue bool         `json:"overdue"`
	}{x, models, len(x.Models), x.Overdue(time.Now())})
}

func (a *app) listModels() *cobra.Command {
	return &cobra.Command{
		Use:   "list [TEXT]",
		Short: "List the models whose name, AAGUID or status contains TEXT",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return program.NoArguments(args[1:])
		},
		RunE: func(_ *cobra.Command, args []string) error {
			index, err := readModels()
			if err != nil {
				return err
			}
			models := matching(index, strings.Join(args, ""))
			if a.json {
				return a.printIndex(index, models)
			}
			a.warnOverdue(index)
			return a.printModels(models)
		},
	}
}

func readModels() (*metadata.Index, error) {
	path, err := metadata.DefaultPath()
	if err != nil {
		return nil, err
	}
	return metadata.ReadIndex(path)
}

// matching gives the models that contain a text, in upper or lower case.
func matching(x *metadata.Index, text string) []shownModel {
	list := []shownModel{}
	for _, m := range x.Models {
		s := shownModel{m, m.Verdict(time.Now())}
		words := fmt.Sprint(m.AAGUID, " ", m.Description, " ", m.ProtocolFamily, " ", s.Verdict)
		for _, r := range m.StatusReports {
			words += " " + string(r.Status)
		}
		if strings.Contains(strings.ToLower(words), strings.ToLower(text)) {
			list = append(list, s)
		}
	}
	return list
}

func (a *app) printModels(models []shownModel) error {
	if len(models) == 0 {
		_, err := fmt.Fprintln(a.stderr, "no model contains that")
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AAGUID\tMODEL\tSTATUS")
	for _, m := range models {
		status := m.Certification
		if len(m.Warnings) > 0 {
			status = "warning: " + m.Warnings[0]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", m.AAGUID, shown(m.Description), shown(status))
	}
	return w.Flush()
}

// unknownModel is a model that the BLOB does not have.
type unknownModel struct {
	aaguid metadata.AAGUID
	index  *metadata.Index
}

func (e *unknownModel) Error() string {
	return fmt.Sprintf("BLOB %d has no model %s", e.index.Number, e.aaguid)
}

// Hint says what the person can do.
func (e *unknownModel) Hint() string {
	return "it may be too new, or not registered with the FIDO Alliance; 'fob key models list' shows which there are"
}

func (a *app) showModel() *cobra.Command {
	return &cobra.Command{
		Use:   "show AAGUID",
		Short: "Show a model and all reports about it",
		Args:  exactly("name the AAGUID of a model"),
		RunE: func(_ *cobra.Command, args []string) error {
			id, err := metadata.ParseAAGUID(args[0])
			if err != nil {
				return program.Usage(fmt.Errorf("%.50q is %w", args[0], err))
			}
			index, err := readModels()
			if err != nil {
				return err
			}
			m, ok := index.Lookup(id)
			if !ok {
				return &unknownModel{id, index}
			}
			s := shownModel{m, m.Verdict(time.Now())}
			if a.json {
				return a.printIndex(index, []shownModel{s})
			}
			a.warnOverdue(index)
			return a.printModel(index, s)
		},
	}
}

func (a *app) printModel(x *metadata.Index, m shownModel) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, shown(value))
		}
	}
	var versions []string
	for _, v := range m.UPV {
		versions = append(versions, v.String())
	}
	row("model", m.Description)
	row("AAGUID", m.AAGUID.String())
	row("protocol", strings.TrimSpace(m.ProtocolFamily+" "+strings.Join(versions, ", ")))
	row("firmware", fmt.Sprintf("%d or newer", m.AuthenticatorVersion))
	for _, text := range m.Warnings {
		row("warning", text)
	}
	row("status", m.Certification)
	for _, text := range m.Notes {
		row("note", text)
	}
	for _, r := range m.StatusReports {
		row("report", m.Words(r))
	}
	row("source", fmt.Sprintf("BLOB %d of %s, imported %s", x.Number, x.Service, x.Imported.Format(time.DateOnly)))
	return w.Flush()
}
