package pskc

import "strings"

// Namespaces of what PSKC files have.
const (
	pskcSpace   = "urn:ietf:params:xml:ns:keyprov:pskc"                         // RFC 6030 §4
	dsSpace     = "http://www.w3.org/2000/09/xmldsig#"                          // XML Signature
	xencSpace   = "http://www.w3.org/2001/04/xmlenc#"                           // XML Encryption
	xenc11Space = "http://www.w3.org/2009/xmlenc11#"                            // XML Encryption 1.1
	pkcs5Space  = "http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#" // PKCS #5, RFC 6030 §6.2
	xmlSpace    = "http://www.w3.org/XML/1998/namespace"                        // that of the prefix xml
	draftSpace  = "http://www.ietf.org/keyprov/pskc"                            // drafts of RFC 6030 begin so
)

// internSpace gives the string of a namespace, without making one of those that files have at each element.
func internSpace(uri []byte) string {
	switch string(uri) {
	case pskcSpace:
		return pskcSpace
	case dsSpace:
		return dsSpace
	case xencSpace:
		return xencSpace
	case xenc11Space:
		return xenc11Space
	case pkcs5Space:
		return pkcs5Space
	}
	return string(uri)
}

func internPrefix(prefix []byte) string {
	switch string(prefix) {
	case "":
		return ""
	case "pskc":
		return "pskc"
	case "ds":
		return "ds"
	case "xenc":
		return "xenc"
	case "xenc11":
		return "xenc11"
	case "pkcs5":
		return "pkcs5"
	}
	return string(prefix)
}

// known tells whether the elements of a namespace may be those of PSKC. In which of the known ones an element stands
// does not count: consumers and producers differ in that of PBKDF2-params and of what is in it, and in whether they
// take one at all. Elements of any other are extensions.
func known(space string) bool {
	switch space {
	case "", pskcSpace, dsSpace, xencSpace, xenc11Space, pkcs5Space:
		return true
	}
	return strings.HasPrefix(space, pskcSpace) || strings.HasPrefix(space, draftSpace) ||
		strings.HasPrefix(space, strings.TrimSuffix(pkcs5Space, "#"))
}

// element is an element that PSKC files have, by its name.
type element uint8

const (
	unknown element = iota
	keyContainer
	encryptionKey
	keyName
	x509Data
	encryptedKey
	derivedKey
	keyDerivationMethod
	masterKeyName
	pbkdf2Params
	salt
	specified
	iterationCount
	keyLength
	prf
	macMethod
	macKey
	macKeyReference
	encryptionMethod
	cipherData
	cipherValue
	keyPackage
	deviceInfo
	manufacturer
	serialNo
	model
	startDate
	expiryDate
	userID
	key
	issuer
	algorithmParameters
	suite
	responseFormat
	keyReference
	friendlyName
	data
	secret
	counter
	timeElement
	timeInterval
	timeDrift
	plainValue
	encryptedValue
	valueMAC
	policy
	signature
)

// elementOf gives the element of a name, in letters of either case: privacyIDEA writes small ones. Device, DeviceId
// and Usage are what drafts of RFC 6030 had, and makers of tokens still have.
func elementOf(local []byte) element {
	var lower [24]byte
	if len(local) > len(lower) {
		return unknown
	}
	for i, c := range local {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(local)]) {
	case "keycontainer":
		return keyContainer
	case "encryptionkey":
		return encryptionKey
	case "keyname":
		return keyName
	case "x509data":
		return x509Data
	case "encryptedkey":
		return encryptedKey
	case "derivedkey":
		return derivedKey
	case "keyderivationmethod":
		return keyDerivationMethod
	case "masterkeyname", "carriedkeyname":
		return masterKeyName
	case "pbkdf2-params":
		return pbkdf2Params
	case "salt":
		return salt
	case "specified":
		return specified
	case "iterationcount":
		return iterationCount
	case "keylength":
		return keyLength
	case "prf":
		return prf
	case "macmethod":
		return macMethod
	case "mackey":
		return macKey
	case "mackeyreference":
		return macKeyReference
	case "encryptionmethod":
		return encryptionMethod
	case "cipherdata":
		return cipherData
	case "ciphervalue":
		return cipherValue
	case "keypackage", "device":
		return keyPackage
	case "deviceinfo", "deviceid":
		return deviceInfo
	case "manufacturer":
		return manufacturer
	case "serialno":
		return serialNo
	case "model":
		return model
	case "startdate":
		return startDate
	case "expirydate", "expiry":
		return expiryDate
	case "userid":
		return userID
	case "key":
		return key
	case "issuer":
		return issuer
	case "algorithmparameters", "usage":
		return algorithmParameters
	case "suite":
		return suite
	case "responseformat":
		return responseFormat
	case "keyreference":
		return keyReference
	case "friendlyname":
		return friendlyName
	case "data":
		return data
	case "secret":
		return secret
	case "counter":
		return counter
	case "time":
		return timeElement
	case "timeinterval":
		return timeInterval
	case "timedrift":
		return timeDrift
	case "plainvalue":
		return plainValue
	case "encryptedvalue":
		return encryptedValue
	case "valuemac":
		return valueMAC
	case "policy":
		return policy
	case "signature":
		return signature
	}
	return unknown
}
