package emulator

import "fob/fido/ctap"

// blobWrite is a large-blob array that is being written in fragments (§6.10.2). Where the next fragment goes,
// expectedNextOffset, is the length of data.
type blobWrite struct {
	expectedLength uint
	data           []byte
}

// largeBlobs implements authenticatorLargeBlobs (§6.10.2).
func (a *Authenticator) largeBlobs(r *request, parameters []byte, before pending) (ctap.Response, error) {
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
		return a.setLargeBlobs(r, req, before)
	}
}

// getLargeBlobs does step 4.
func (a *Authenticator) getLargeBlobs(req *ctap.LargeBlobsRequest) (ctap.Response, error) {
	stored := a.state.largeBlobs()
	offset := *req.Offset
	switch {
	case req.Length != nil, req.PINUVAuthParam != nil, req.PINUVAuthProtocol != 0: // steps 4.1, 4.2
		return nil, ctap.ErrInvalidParameter
	case *req.Get > a.maxFragment(): // step 4.3
		return nil, ctap.ErrInvalidLength
	case offset > uint(len(stored)): // step 4.4
		return nil, ctap.ErrInvalidParameter
	}
	end := min(offset+*req.Get, uint(len(stored)))
	return (&ctap.LargeBlobsResponse{Config: stored[offset:end]}).Encode(), nil
}

// setLargeBlobs does step 5. What was written takes effect when it is complete and its hash is right. A fragment that
// is refused may be sent again.
func (a *Authenticator) setLargeBlobs(r *request, req *ctap.LargeBlobsRequest, before pending) (ctap.Response, error) {
	if uint(len(req.Set)) > a.maxFragment() { // step 5.1
		return nil, ctap.ErrInvalidLength
	}
	if *req.Offset != 0 && before.blobs != nil && before.goesOn(r) {
		a.pending = before
	}
	w, err := a.nextFragment(req)
	if err != nil {
		return nil, err
	}
	t, err := a.authorizeLargeBlobs(req)
	if err != nil {
		return nil, err
	}
	if *req.Offset+uint(len(req.Set)) > w.expectedLength { // step 5.6
		return nil, ctap.ErrInvalidParameter
	}
	w.data = append(w.data, req.Set...) // steps 5.7 to 5.9
	if uint(len(w.data)) < w.expectedLength {
		a.pending = pending{channel: r.channel, last: a.now(), token: t, blobs: w}
		return ctap.Response{byte(ctap.StatusOK)}, nil
	}
	return a.commitLargeBlobs(w.data)
}

// nextFragment does steps 5.2 to 5.4: a length comes with the first fragment alone, and fragments come in order. It
// gives the array that the fragment belongs to.
func (a *Authenticator) nextFragment(req *ctap.LargeBlobsRequest) (*blobWrite, error) {
	w := a.pending.blobs
	if *req.Offset != 0 {
		switch {
		case req.Length != nil:
			return nil, ctap.ErrInvalidParameter
		case w == nil || *req.Offset != uint(len(w.data)):
			return nil, ctap.ErrInvalidSeq
		}
		return w, nil
	}
	switch {
	case req.Length == nil:
		return nil, ctap.ErrInvalidParameter
	case *req.Length > a.MaxLargeBlobArray:
		return nil, ctap.ErrLargeBlobStorageFull
	case *req.Length < ctap.LargeBlobHashLength+1:
		return nil, ctap.ErrInvalidParameter
	}
	return &blobWrite{expectedLength: *req.Length}, nil
}

// authorizeLargeBlobs does step 5.5 and gives the token, or nil where none is needed.
func (a *Authenticator) authorizeLargeBlobs(req *ctap.LargeBlobsRequest) (*token, error) {
	if !a.state.protected() && !a.state.AlwaysUV {
		return nil, nil
	}
	if err := a.requireToken(req.PINUVAuthProtocol, req.PINUVAuthParam); err != nil {
		return nil, err
	}
	return a.pin.check(req.PINUVAuthProtocol, req.AuthMessage(), req.PINUVAuthParam, ctap.PermissionLargeBlobWrite)
}

// commitLargeBlobs does step 5.10.
func (a *Authenticator) commitLargeBlobs(array []byte) (ctap.Response, error) {
	a.pending = pending{}
	if err := ctap.CheckLargeBlobArray(array); err != nil {
		return nil, err
	}
	if err := a.update(func(s *state) { s.LargeBlobs = array }); err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}
