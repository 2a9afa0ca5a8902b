package fido

import (
	"cmp"

	"fob/fido/ctap"
)

// checkList drops the IDs that this key can't have made, because they are too long for it, and refuses what it would not
// take in one request: ErrListTooLong.
func checkList(info *ctap.GetInfoResponse, ids [][]byte) ([][]byte, error) {
	const (
		defaultMsgSize = 1024 // bytes, of a key that does not say (CTAP 2.2 §6.4, maxMsgSize)
		others         = 512  // bytes for the other parameters, at the most
		perDescriptor  = 22   // bytes of CBOR around an ID
	)
	var kept [][]byte
	size := uint(others)
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
