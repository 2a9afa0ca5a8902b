package metadata

import (
	"reflect"
	"testing"
)

func TestVerdict(t *testing.T) {
	for name, test := range map[string]struct {
		family  string
		reports []StatusReport
		want    Verdict
	}{
		"nothing": {"fido2", nil, Verdict{}},
		"level 1": {"fido2", []StatusReport{{Status: "FIDO_CERTIFIED_L1", EffectiveDate: "2020-05-12", URL: "https://x"}},
			Verdict{Certification: "certified FIDO2 Level 1 since 2020-05-12"}},
		"level 3+":          {"u2f", []StatusReport{{Status: "FIDO_CERTIFIED_L3plus"}}, Verdict{Certification: "certified FIDO U2F Level 3+"}},
		"no level":          {"uaf", []StatusReport{{Status: FIDOCertified}}, Verdict{Certification: "certified FIDO UAF"}},
		"an unknown family": {"", []StatusReport{{Status: FIDOCertified}}, Verdict{Certification: "certified FIDO"}},
		"not certified":     {"fido2", []StatusReport{{Status: NotFIDOCertified, EffectiveDate: "2020-05-12"}}, Verdict{Certification: "not FIDO certified"}},
		"asserted": {"fido2", []StatusReport{{Status: SelfAssertionSubmitted, EffectiveDate: "2020-05-12"}},
			Verdict{Certification: "asserted by its maker to follow FIDO since 2020-05-12"}},
		"the latest, in whatever order": {"fido2", []StatusReport{{Status: "FIDO_CERTIFIED_L2", EffectiveDate: "2022-01-01"},
			{Status: "FIDO_CERTIFIED_L1", EffectiveDate: "2020-05-12"}, {Status: NotFIDOCertified, EffectiveDate: "2019-05-12"}},
			Verdict{Certification: "certified FIDO2 Level 2 since 2022-01-01"}},
		"the last of a day": {"fido2", []StatusReport{{Status: "FIDO_CERTIFIED_L1", EffectiveDate: "2022-01-01"},
			{Status: "FIDO_CERTIFIED_L2", EffectiveDate: "2022-01-01"}},
			Verdict{Certification: "certified FIDO2 Level 2 since 2022-01-01"}},
		"FIPS": {"fido2", []StatusReport{{Status: "FIPS140_CERTIFIED_L2", EffectiveDate: "2024-01-02", FIPSRevision: 3}},
			Verdict{Certification: "certified FIPS 140-3 Level 2 since 2024-01-02"}},
		"both": {"fido2", []StatusReport{{Status: "FIPS140_CERTIFIED_L1"}, {Status: "FIDO_CERTIFIED_L1"}},
			Verdict{Certification: "certified FIDO2 Level 1, certified FIPS 140 Level 1"}},
		"revoked": {"fido2", []StatusReport{{Status: "FIDO_CERTIFIED_L1"}, {Status: Revoked, EffectiveDate: "2026-01-31", URL: "https://x"}},
			Verdict{Warnings: []string{"revoked: the FIDO Alliance says not to trust it (since 2026-01-31, https://x)"}}},
		"revoked, certified later": {"fido2", []StatusReport{{Status: Revoked}, {Status: "FIDO_CERTIFIED_L1", EffectiveDate: "2026-01-31"}},
			Verdict{Warnings: []string{"revoked: the FIDO Alliance says not to trust it"}}},
		"some revoked": {"fido2", []StatusReport{{Status: FIDOCertified}, {Status: Revoked, SomeKeys: true}},
			Verdict{Certification: "certified FIDO2", Warnings: []string{"revoked: the FIDO Alliance says not to trust it (some keys only)"}}},
		"revoked from tomorrow": {"fido2", []StatusReport{{Status: Revoked, EffectiveDate: "2026-10-02"}, {Status: FIDOCertified}},
			Verdict{Certification: "certified FIDO2"}},
		"revoked from today": {"fido2", []StatusReport{{Status: Retired, EffectiveDate: "2026-10-01", SunsetDate: "2026-10-02"}},
			Verdict{Warnings: []string{"retired: its maker says not to accept it any more (since 2026-10-01, until 2026-10-02)"}}},
		"certified until today": {"fido2", []StatusReport{{Status: FIDOCertified, SunsetDate: "2026-10-01"}}, Verdict{}},
		"all that is bad, the worst first": {"fido2", []StatusReport{{Status: AttestationKeyCompromise, AuthenticatorVersion: 7},
			{Status: UserKeyPhysicalCompromise}, {Status: UserVerificationBypass}, {Status: UserKeyRemoteCompromise},
			{Status: UpdateAvailable, AuthenticatorVersion: 8}, {Status: FIDOCertified}},
			Verdict{Certification: "certified FIDO2", Warnings: []string{
				"private keys can be had or guessed from afar",
				"can be used without the PIN or finger that it asks for",
				"private keys can be read by somebody who has the key",
				"attestation key is known: another thing may pass for this model (firmware 7)"},
				Notes: []string{"a firmware update is available (firmware 8)"}}},
	} {
		m := Model{ProtocolFamily: test.family, StatusReports: test.reports}
		if got := m.Verdict(today); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n%+v, expected\n%+v", name, got, test.want)
		}
	}
}

func TestWords(t *testing.T) {
	m := Model{ProtocolFamily: "fido2"}
	for status, want := range map[Status]string{
		"FIDO_CERTIFIED_L1": "certified FIDO2 Level 1",
		Revoked:             "revoked: the FIDO Alliance says not to trust it",
		UpdateAvailable:     "a firmware update is available",
		"NEWER_THAN_WE":     "status NEWER_THAN_WE",
	} {
		if got := m.Words(StatusReport{Status: status}); got != want {
			t.Errorf("%s: %q", status, got)
		}
	}
}
