package vendors

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/seedfiletest"
)

const samples = "../../../testdata/seedfile/"

// The seeds of the vectors of RFC 6238, appendix B.
var (
	seed20 = hotp.Seed("12345678901234567890")
	seed32 = hotp.Seed("12345678901234567890123456789012")
)

func counting(serial string, digits int, counter uint64) *seedfile.Token {
	return &seedfile.Token{Serial: serial, Seed: seed20, Counter: counter,
		Parameters: hotp.Parameters{Type: hotp.HOTP, Algorithm: hotp.SHA1, Digits: digits}}
}

func yubikey(serial, public string, accessCode hotp.Seed) *seedfile.Token {
	return &seedfile.Token{Serial: serial, Seed: seed20[:16],
		Yubico: &seedfile.Yubico{PublicID: public, PrivateID: hotp.Seed{1, 2, 3, 4, 5, 0xff}, AccessCode: accessCode}}
}

func with(t *seedfile.Token, change func(*seedfile.Token)) *seedfile.Token {
	change(t)
	return t
}

var accessCode = hotp.Seed{9, 8, 7, 6, 5, 4}

// tests have a golden file for each way of a format, and make what the format can hold of a random token.
var tests = []struct {
	format   *seedfile.Format
	sample   string
	settings map[string]string
	adapt    func(*seedfile.Token)
	tokens   []*seedfile.Token
}{
	{YubicoTraditional, "yubico-traditional.csv", map[string]string{"slot": "2"}, noID, []*seedfile.Token{
		with(counting("", 6, 0), func(t *seedfile.Token) { t.ID = "cccccccccccc" }), counting("", 8, 0),
		yubikey("", "vvgutbiedkvi", nil), yubikey("", "", accessCode)}},
	{YubicoFlat, "yubico-flat.csv", nil, func(t *seedfile.Token) {
		noID(t)
		t.Serial = strconv.Itoa(len(t.Serial))
		if t.Yubico == nil {
			t.Digits = 6
		}
	}, []*seedfile.Token{counting("508326", 6, 0), yubikey("1382042", "cccccccccccc", accessCode)}},
	{SafeNetXML, "safenet.xml", nil, func(t *seedfile.Token) {
		t.Digits, t.Algorithm = 6, guessedHash(len(t.Seed))
	}, []*seedfile.Token{with(counting("00040008CFA5", 6, 1), func(t *seedfile.Token) { t.Model = "eToken <PASS> & more" }),
		with(counting("00040008CFA6", 6, 0), func(t *seedfile.Token) { t.Seed, t.Algorithm = seed32, hotp.SHA256 })}},
	{DeepnetXML, "deepnet.xml", map[string]string{"type": "totp", "digits": "6"}, func(t *seedfile.Token) {
		t.Type, t.Digits, t.Period, t.Manufacturer, t.Model = hotp.TOTP, 6, 60, "DN", "ST"
	}, []*seedfile.Token{deepnetToken("71358472"), deepnetToken("71358473")}},
}

func deepnetToken(serial string) *seedfile.Token {
	return &seedfile.Token{Serial: serial, Seed: seed20, Manufacturer: "DN", Model: "ST",
		Parameters: hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA1, Digits: 6, Period: 60}}
}

func noID(t *seedfile.Token) {
	if t.Yubico != nil {
		t.ID = ""
	}
}

func TestFormats(t *testing.T) {
	for _, test := range tests {
		t.Run(test.sample, func(t *testing.T) {
			trip := seedfiletest.Trip{Write: seedfile.WriteOptions{Settings: test.settings}, Adapt: test.adapt,
				Read: seedfile.ReadOptions{Settings: test.settings, Assume: hotp.Parameters{Period: 60}}}
			seedfiletest.Golden(t, test.format, samples+test.sample, test.tokens, trip)
			trip.RoundTrip(t, test.format)
			trip.Refuses(t, test.format)
		})
	}
}

// TestForeign reads files as makers and their programs make them, with what the writers here never do.
func TestForeign(t *testing.T) {
	const key, aes = "3132333435363738393031323334353637383930", "31323334353637383930313233343536"
	for _, test := range []struct {
		format *seedfile.Format
		file   string
		read   seedfile.ReadOptions
		tokens []*seedfile.Token
	}{
		{YubicoTraditional, "LOGGING START,11.12.13 18:55\r\nOATH-HOTP,11.12.13 18:55,1,cccccccccccc,," + key +
			",,,0,0,0,6,0,0,0,0,0,0\r\nYubico OTP,12/11/2013 11:10,1,vvgutbiedkvi,0102030405ff," + aes +
			",,090807060504,0,0,0,0,0,0,0,0,0,0\r\n", seedfile.ReadOptions{}, []*seedfile.Token{
			with(counting("", 6, 0), func(t *seedfile.Token) { t.ID = "cccccccccccc" }),
			yubikey("", "vvgutbiedkvi", accessCode)}},
		{YubicoFlat, "# OATH mode\n508326,,0," + key + ",,2013-12-12T08:41:07,\n# Yubico mode\n" +
			"508326,cccccccccccc,0102030405ff," + aes + ",,2013-12-12T08:43:17,\n", seedfile.ReadOptions{Assume: hotp.Parameters{Digits: 8}},
			[]*seedfile.Token{counting("508326", 8, 0), yubikey("508326", "cccccccccccc", nil)}},
		{SafeNetXML, "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- made by us --><Tokens>\n<Token serial='1'>\n" +
			"<CaseModel>5</CaseModel><Model>101</Model><ProductionDate>02/19/2009</ProductionDate>" +
			"<ProductName>Safeword\n Alpine</ProductName>\n<Applications><Application ConnectorID=\"{x}\">\n<Seed> " + key +
			"\n</Seed><MovingFactor> 1</MovingFactor></Application></Applications></Token></Tokens>\n", seedfile.ReadOptions{},
			nil},
		{DeepnetXML,
			"<data><header><manufacturerCode>DN</manufacturerCode><productCode>ST</productCode><encode>hex</encode>" +
				"<encrypt>NONE</encrypt></header><token><serial>71358472</serial><seed><![CDATA[" + key +
				"]]></seed></token></data>", seedfile.ReadOptions{Assume: hotp.Parameters{Type: hotp.TOTP, Period: 60}},
			[]*seedfile.Token{deepnetToken("71358472")}},
	} {
		tokens, err := seedfiletest.ReadAll(test.format, []byte(test.file), test.read)
		if test.tokens == nil { // its product has a newline in its name
			if err == nil || err.Error() != "line 3, column 1: token 1: its model has a control character" {
				t.Errorf("%s: %v", test.format.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.format.Name, err)
		}
		seedfiletest.Same(t, tokens, test.tokens)
	}
}

// TestBad: each error says where it is, and nothing of a seed.
func TestBad(t *testing.T) {
	const token = "<Token serial=\"1\"><Applications><Application><Seed>3132</Seed></Application></Applications></Token>"
	const header = "<header><manufacturerCode>DN</manufacturerCode><productCode>ST</productCode><encode>HEX</encode>"
	read := seedfile.ReadOptions{Assume: hotp.Parameters{Type: hotp.TOTP}}
	for _, test := range []struct {
		format *seedfile.Format
		file   string
		want   string
	}{
		{YubicoTraditional, "Static Password,11.12.13 19:08,1,,d5a3d50327dc,00,,,0,0,0,0,0,0,0,0,0,0\n",
			"line 1, column 1: it is neither Yubico OTP nor OATH-HOTP"},
		{YubicoTraditional, "OATH-HOTP,,1,cccc\n", "line 1: token cccc: the line has 4 columns, and not 6 at least"},
		{YubicoTraditional, "Yubico OTP,,1,cccc,00,00,,\n", "line 1, column 23: the seed is no AES key of 16 bytes"},
		{YubicoTraditional, "Yubico OTP,,1,cccx,010203040506,31323334353637383930313233343536\n",
			"line 1, column 15: its public-id is not of 0 to 32 digits of modhex"},
		{YubicoTraditional, "OATH-HOTP,,1,,,3132,,,0,0,0,9\n",
			"line 1, column 29: token without a name: yubico-traditional has no room for its digits (9 digits)"},
		{YubicoFlat, "508326,,,9e2fd386224a7f77e9b5aee775464033,,2013-12-12T08:44:34,\n",
			"line 1, column 9: there is no private ID, so that it is a static password"},
		{YubicoFlat, "x,,0,00,,,\n", "line 1, column 1: the serial number is no decimal number"},
		{SafeNetXML, "<Tokens>\n <Token serial=\"1\"></Token></Tokens>",
			"line 2, column 2: token 1: there is no Applications/Application/Seed"},
		{SafeNetXML, strings.Replace("<Tokens>"+token, "3132", "\nxyz0", 1),
			"line 1, column 60: token 1: the seed is not in hexadecimal digits"},
		{SafeNetXML, strings.Replace("<Tokens>"+token, "</Seed>", "</Seed><Seed>00</Seed>", 1),
			"line 1, column 77: token 1: a second one of Applications/Application/Seed"},
		{SafeNetXML, strings.Replace("<Tokens>"+token, "</Seed>", "</Seed><MovingFactor>x</MovingFactor>", 1),
			"line 1, column 85: token 1: the moving factor is no number"},
		{SafeNetXML, "<Tokens>" + token, "no safenet-xml file: line 1, column 108: it is no XML, or ends too early"},
		{SafeNetXML, "", "no safenet-xml file: line 1, column 1: it has no element Tokens"},
		{SafeNetXML, "<Token/>", "no safenet-xml file: line 1, column 9: it has another root element than one Tokens"},
		{SafeNetXML, "<Tokens/><Tokens/>",
			"no safenet-xml file: line 1, column 19: it has another root element than one Tokens"},
		{SafeNetXML, "<!DOCTYPE x [<!ENTITY a \"b\">]><Tokens/>",
			"no safenet-xml file: line 1, column 31: it has a DOCTYPE or another directive, which no seed file needs"},
		{SafeNetXML, "<Tokens><Token serial=\"&a;\"/></Tokens>",
			"no safenet-xml file: line 1, column 27: it is no XML, or ends too early"},
		{SafeNetXML, "<?xml version=\"1.0\" encoding=\"latin1\"?><Tokens/>",
			"no safenet-xml file: line 1, column 40: its encoding is not UTF-8"},
		{SafeNetXML, "<Tokens><Token>" + strings.Repeat("x", 1<<20), "no safenet-xml file: line 1, column 69633: " +
			"a token, or what stands between two, is longer than 64 KiB"},
		{SafeNetXML, "<Tokens><Token>" + strings.Repeat("<a>", 17), "no safenet-xml file: line 1, column 67: " +
			"its elements are too deep within one another"},
		{DeepnetXML, "<data><token/></data>",
			"no deepnet-xml file: line 1, column 7: its header does not come before the tokens"},
		{DeepnetXML, "<data>" + header + "</header></data>",
			"no deepnet-xml file: line 1, column 7: its seeds are encrypted, " +
				"which only Deepnet's programs can read: ask for a file with encrypt NONE"},
		{DeepnetXML, "<data>" + strings.Replace(header, "HEX", "B64", 1) + "</header></data>", "no deepnet-xml file: " +
			"line 1, column 7: its seeds are not in hexadecimal digits: encode must be HEX"},
		{DeepnetXML, "<data><header><encode>HEX</encode><encrypt>NONE</encrypt></header></data>",
			"no deepnet-xml file: line 1, column 7: its header lacks manufacturerCode or productCode"},
		{DeepnetXML, "<data><header><encode>HEX</encode><encode>HEX</encode></header></data>",
			"no deepnet-xml file: line 1, column 7: a second one of encode"},
	} {
		_, err := seedfiletest.ReadAll(test.format, []byte(test.file), read)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s %.50q:\n%v, expected\n%v", test.format.Name, test.file, err, test.want)
		}
	}
}

// TestRefused: what no capacity says.
func TestRefused(t *testing.T) {
	for _, test := range []struct {
		format *seedfile.Format
		tokens []*seedfile.Token
		want   string
	}{
		{YubicoTraditional, []*seedfile.Token{with(yubikey("", "", nil), func(t *seedfile.Token) { t.ID = "i" })},
			"token i: yubico-traditional has no room for its id (i)"},
		{YubicoFlat, []*seedfile.Token{counting("A1", 6, 0)},
			"token A1: its serial is no decimal number, which yubico-flat can't hold"},
		{YubicoFlat, []*seedfile.Token{counting("1", 6, 0), yubikey("2", "", nil), counting("3", 8, 0)},
			"token 3: yubico-flat has no room for its digits (8 digits in a file of 6 digits: write it into another one)"},
		{SafeNetXML, []*seedfile.Token{with(counting("1", 6, 0), func(t *seedfile.Token) { t.Seed = seed32 })},
			"token 1: safenet-xml has no room for its algorithm (SHA1, but by its seed of 32 bytes it is taken for SHA256)"},
		{SafeNetXML, []*seedfile.Token{counting("1\uffff", 6, 0)}, "token 1\uffff: its serial has a space at an end, " +
			"or a character that XML does not have, which safenet-xml can't hold"},
		{DeepnetXML, []*seedfile.Token{deepnetToken("1"), with(deepnetToken("2"), func(t *seedfile.Token) { t.Model = "SC" })},
			"token 2: deepnet-xml has no room for its model (SC in a file of ST: write it into another one)"},
		{DeepnetXML, nil, "there is no token, so that there is nothing to write"},
	} {
		_, err := seedfiletest.WriteAll(test.format, test.tokens, seedfile.WriteOptions{})
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n%v, expected\n%v", test.format.Name, err, test.want)
		}
	}
}

// fuzz is a fuzz target of the first way of a format.
func fuzz(f *testing.F, format *seedfile.Format) {
	for _, test := range tests {
		if test.format != format {
			continue
		}
		file, err := os.ReadFile(samples + test.sample)
		if err != nil {
			f.Fatal(err)
		}
		seedfiletest.Trip{Write: seedfile.WriteOptions{Settings: test.settings}}.Fuzz(f, format, file)
	}
}

func FuzzYubicoTraditional(f *testing.F) { fuzz(f, YubicoTraditional) }
func FuzzYubicoFlat(f *testing.F)        { fuzz(f, YubicoFlat) }
func FuzzSafeNetXML(f *testing.F)        { fuzz(f, SafeNetXML) }
func FuzzDeepnetXML(f *testing.F)        { fuzz(f, DeepnetXML) }
