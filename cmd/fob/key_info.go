package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fob/fido/ctap"
	"fob/ipc"
)

func (a *app) keyInfo() *cobra.Command {
	c := &cobra.Command{Use: "info", Short: "Tell what a key can do and how it is set up"}
	return a.onOneKey(c, &managementFlags{}, func(ctx context.Context, f *managementFlags, _ []string) error {
		reply, err := a.client.GetInfo(ctx, f.device)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(reply)
		}
		return a.printInfo(reply)
	})
}

func (a *app) keyWink() *cobra.Command {
	c := &cobra.Command{Use: "wink", Short: "Have a key show itself, by light or sound"}
	return a.onOneKey(c, &managementFlags{}, func(ctx context.Context, f *managementFlags, _ []string) error {
		if err := a.client.Wink(ctx, f.device); err != nil {
			return err
		}
		return a.done("the key shows itself")
	})
}

// printInfo says in words what a key is like: first what it is, then how it is set up, then what it can.
func (a *app) printInfo(r *ipc.GetInfoReply) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, line := range slices.Concat(identity(r), verdict(r.Model), howSetUp(&r.Info), abilities(&r.Info)) {
		if line[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
		}
	}
	return w.Flush()
}

func identity(r *ipc.GetInfoReply) [][2]string {
	i := &r.Info
	return [][2]string{
		{"key", shown(name(r.Device)) + "  " + r.Device.ID + "  " + shown(r.Device.Path)},
		{"model", modelName(r)},
		{"aaguid", i.AAGUID},
		{"certified", certified(r)},
		{"firmware", firmware(r)},
		{"speaks", versions(i.Versions)},
		{"reached by", strings.Join(i.Transports, ", ")},
		{"says it is certified", certifications(i.Certifications)},
	}
}

func modelName(r *ipc.GetInfoReply) string {
	if r.Model == nil {
		return "unknown; 'fob key models import' takes the FIDO Alliance's list"
	}
	return shown(r.Model.Description)
}

// certified is the FIDO Alliance's word, as far as it has been imported.
func certified(r *ipc.GetInfoReply) string {
	if r.Model == nil {
		return ""
	}
	return r.Model.Certification
}

// firmware is a number that each maker composes as it likes; Yubico of bytes.
func firmware(r *ipc.GetInfoReply) string {
	const yubico = 0x1050
	v := r.Info.FirmwareVersion
	switch {
	case v == 0:
		return ""
	case r.Device.VendorID == yubico && v > 0xffff:
		return fmt.Sprintf("%d.%d.%d", v>>16, v>>8&0xff, v&0xff)
	default:
		return fmt.Sprint(v)
	}
}

func versions(list []string) string {
	words := map[string]string{
		"U2F_V2": "U2F", "FIDO_2_0": "FIDO 2.0", "FIDO_2_1_PRE": "a preview of FIDO 2.1", "FIDO_2_1": "FIDO 2.1",
		"FIDO_2_2": "FIDO 2.2", "FIDO_2_3": "FIDO 2.3",
	}
	var said []string
	for _, v := range list {
		if word, ok := words[v]; ok {
			v = word
		}
		said = append(said, v)
	}
	return strings.Join(said, ", ")
}

func certifications(levels map[string]int) string {
	var said []string
	for _, program := range slices.Sorted(maps.Keys(levels)) {
		said = append(said, fmt.Sprintf("%s level %d", program, levels[program]))
	}
	return strings.Join(said, ", ")
}

// verdict warns of what is wrong with a model.
func verdict(m *ipc.Model) (lines [][2]string) {
	if m == nil {
		return nil
	}
	for _, text := range m.Warnings {
		lines = append(lines, [2]string{"WARNING", text})
	}
	for _, text := range m.Notes {
		lines = append(lines, [2]string{"note", text})
	}
	return lines
}

func howSetUp(i *ipc.Info) [][2]string {
	return [][2]string{
		{"PIN", pinState(i)},
		{"fingerprint", fingerState(i)},
		{"asks for PIN or finger", optional(i, ctap.OptionAlwaysUV, "always", "when it is wanted")},
		{"names itself to an enterprise", optional(i, ctap.OptionEP, "yes", "no; 'fob key enterprise enable' lets it")},
		{"reset", resetState(i)},
	}
}

func pinState(i *ipc.Info) string {
	set, takes := i.Options[ctap.OptionClientPIN]
	least := max(i.MinPINLength, 4)
	switch {
	case !takes:
		return "takes none"
	case !set:
		return fmt.Sprintf("not set; %d characters at least", least)
	}
	said := []string{"set", fmt.Sprintf("%d characters at least", least)}
	if i.PINRetries != nil {
		said = append(said, plural(*i.PINRetries, "attempt", "attempts")+" left")
	}
	switch {
	case i.PINRetries != nil && *i.PINRetries == 0:
		said = append(said, "blocked until a reset")
	case i.PowerCycleState:
		said = append(said, "not taken until the key is plugged in anew")
	}
	if i.ForcePINChange {
		said = append(said, "must be changed")
	}
	if i.PINComplexityPolicy != nil && *i.PINComplexityPolicy {
		said = append(said, "must not be simple "+i.PINComplexityPolicyURL)
	}
	return strings.TrimSpace(strings.Join(said, ", "))
}

func fingerState(i *ipc.Info) string {
	enrolled, sensor := i.Options[ctap.OptionUV]
	switch {
	case !sensor:
		return "no sensor"
	case !enrolled:
		return "none enrolled"
	case i.UVRetries != nil:
		return "enrolled, " + plural(*i.UVRetries, "attempt", "attempts") + " left"
	default:
		return "enrolled"
	}
}

// optional gives the words for an option that a key has, nothing for one that it hasn't.
func optional(i *ipc.Info, option, yes, no string) string {
	on, has := i.Options[option]
	switch {
	case !has:
		return ""
	case on:
		return yes
	default:
		return no
	}
}

func resetState(i *ipc.Info) string {
	var said []string
	if i.LongTouchForReset {
		said = append(said, "by a long touch")
	}
	if len(i.TransportsForReset) > 0 {
		said = append(said, "by "+strings.Join(i.TransportsForReset, ", ")+" alone")
	}
	return strings.Join(said, ", ")
}

func abilities(i *ipc.Info) [][2]string {
	return [][2]string{
		{"discoverable credentials", discoverable(i)},
		{"credential management", either(i, "yes", ctap.OptionCredMgmt, ctap.OptionCredentialMgmtPreview)},
		{"fingerprint management", either(i, "yes", ctap.OptionBioEnroll, ctap.OptionUserVerificationMgmtPreview)},
		{"configuration", either(i, "yes", ctap.OptionAuthnrCfg)},
		{"large blobs", size(i.MaxSerializedLargeBlobArray, "bytes in all")},
		{"credential blobs", size(i.MaxCredBlobLength, "bytes each")},
		{"algorithms", algorithms(i.Algorithms)},
		{"extensions", strings.Join(i.Extensions, ", ")},
		{"attestation", strings.Join(i.AttestationFormats, ", ")},
		{"PIN protocols", protocols(i.PINUVAuthProtocols)},
		{"limits", limits(i)},
	}
}

func discoverable(i *ipc.Info) string {
	switch {
	case !i.Options[ctap.OptionRK]:
		return "can't keep any"
	case i.RemainingDiscoverableCredentials != nil:
		return fmt.Sprintf("room for %d more", *i.RemainingDiscoverableCredentials)
	default:
		return "yes"
	}
}

func either(i *ipc.Info, word string, options ...string) string {
	for _, o := range options {
		if _, has := i.Options[o]; has {
			return word
		}
	}
	return "no"
}

func size(n int, what string) string {
	if n == 0 {
		return "no"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func algorithms(list []ipc.Algorithm) string {
	var said []string
	for _, a := range list {
		said = append(said, ctap.Algorithm(a.Alg).String())
	}
	return strings.Join(said, ", ")
}

func protocols(list []int) string {
	var said []string
	for _, p := range list {
		said = append(said, fmt.Sprint(p))
	}
	return strings.Join(said, ", ")
}

func limits(i *ipc.Info) string {
	var said []string
	if i.MaxMsgSize > 0 {
		said = append(said, fmt.Sprintf("messages of %d bytes", i.MaxMsgSize))
	}
	if i.MaxCredentialCountInList > 0 {
		said = append(said, fmt.Sprintf("%d credentials in a list", i.MaxCredentialCountInList))
	}
	if i.MaxCredentialIDLength > 0 {
		said = append(said, fmt.Sprintf("credential IDs of %d bytes", i.MaxCredentialIDLength))
	}
	return strings.Join(said, ", ")
}
