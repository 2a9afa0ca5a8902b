package emulator

import "fob/fido/ctap"

// blobWrite is a large-blob array that is being written in fragments (§6.10.2).
type blobWrite struct {
	expectedLength uint
	data           []byte
}

// largeBlobs implements authenticatorLargeBlobs (§6.10.2).
func (a *Authenticator) largeBlobs(parameters []byte) (ctap.Response, error) {
	req, err := ctap.ParseLargeBlobsRequest(parameters)
	if err != nil {
		return nil, err
	}
	switch {
	case req.Offset == nil, (req.Get == nil) == (req.Set == nil): // steps 1 to 3
		return nil, ctap.ErrInvalidParameter
	case req.Get != nil:
		return a.getLargeBlobs(req)
	default:
		return a.setLargeBlobs(req)
	}
}

// getLargeBlobs does step 4.
func (a *Authenticator) getLargeBlobs(req *ctap.LargeBlobsRequest) (ctap.Response, error) {
	stored := a.state.largeBlobs()
	offset := *req.Offset
	switch {
	case req.Length != nil, req.PINUVAuthParam != nil, req.PINUVAuthProtocol != 0:
		return nil, ctap.ErrInvalidParameter
	case *req.Get > a.maxFragment():
		return nil, ctap.ErrInvalidLength
	case offset > uint(len(stored)):
		return nil, ctap.ErrInvalidParameter
	}
	end := min(offset+*req.Get, uint(len(stored)))
	return (&ctap.LargeBlobsResponse{Config: stored[offset:end]}).Encode(), nil
}

// setLargeBlobs does step 5. What was written takes effect when it is complete and its hash is right.
func (a *Authenticator) setLargeBlobs(req *ctap.LargeBlobsRequest) (ctap.Response, error) {
	if uint(len(req.Set)) > a.maxFragment() {
		return nil, ctap.ErrInvalidLength
	}
	if err := a.checkFragment(req); err != nil {
		return nil, err
	}
	if a.state.protected() || a.state.AlwaysUV {
		if err := a.requireToken(req.PINUVAuthProtocol, req.PINUVAuthParam); err != nil {
			return nil, err
		}
		_, err := a.pin.check(req.PINUVAuthProtocol, req.AuthMessage(), req.PINUVAuthParam, ctap.PermissionLargeBlobWrite)
		if err != nil {
			return nil, err
		}
	}
	if *req.Offset == 0 {
		a.blobs = blobWrite{expectedLength: *req.Length}
	}
	if *req.Offset+uint(len(req.Set)) > a.blobs.expectedLength {
		return nil, ctap.ErrInvalidParameter
	}
	a.blobs.data = append(a.blobs.data, req.Set...)
	if uint(len(a.blobs.data)) < a.blobs.expectedLength {
		return ctap.Response{byte(ctap.StatusOK)}, nil
	}
	return a.commitLargeBlobs()
}

// checkFragment checks offset and length: a length comes with the first fragment alone, and fragments in order.
func (a *Authenticator) checkFragment(req *ctap.LargeBlobsRequest) error {
	if *req.Offset != 0 {
		switch {
		case req.Length != nil:
			return ctap.ErrInvalidParameter
		case a.blobs.data == nil || *req.Offset != uint(len(a.blobs.data)):
			return ctap.ErrInvalidSeq
		}
		return nil
	}
	switch {
	case req.Length == nil:
		return ctap.ErrInvalidParameter
	case *req.Length > a.MaxLargeBlobArray:
		return ctap.ErrLargeBlobStorageFull
	case *req.Length < ctap.LargeBlobHashLength+1:
		return ctap.ErrInvalidParameter
	}
	return nil
}

func (a *Authenticator) commitLargeBlobs() (ctap.Response, error) {
	array := a.blobs.data
	a.blobs = blobWrite{}
	if err := ctap.CheckLargeBlobArray(array); err != nil {
		return nil, err
	}
	if err := a.update(func(s *state) { s.LargeBlobs = array }); err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}
