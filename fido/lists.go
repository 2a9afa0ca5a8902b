package fido

import (
	"cmp"

	"fob/fido/ctap"
)

// checkList drops the IDs that this key can't have made, because they are too long for it, and refuses what it would not
// take in one request: ErrListTooLong. texts are the other parameters that may be long. A list of one is left to the key.
func checkList(info *ctap.GetInfoResponse, ids [][]byte, texts ...string) ([][]byte, error) {
	const (
		defaultMsgSize = 1024 // bytes, of a key that does not say (CTAP 2.2 §6.4, maxMsgSize)
		others         = 320  // bytes for hashes, tokens, options, keys of maps and the user ID
		perDescriptor  = 22   // bytes of CBOR around an ID
	)
	var kept [][]byte
	size := uint(others)
	for _, t := range texts {
		size += uint(len(t))
	}
	for _, id := range ids {
		if info.MaxCredentialIDLength == 0 || uint(len(id)) <= info.MaxCredentialIDLength {
			kept = append(kept, id)
			size += uint(len(id)) + perDescriptor
		}
	}
	count := info.MaxCredentialCountInList
	if len(kept) > 1 && (count > 0 && uint(len(kept)) > count || size > cmp.Or(info.MaxMsgSize, defaultMsgSize)) {
		return nil, ErrListTooLong
	}
	return kept, nil
}
