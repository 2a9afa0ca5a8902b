// Package metadata tells what the FIDO Metadata Service (MDS3) knows about models of authenticators: what they are
// called, how they are certified, and whether they are revoked or broken.
//
// The service publishes a BLOB: a JSON Web Token of some 5 MB that is signed by a certificate for mds.fidoalliance.org
// (FIDO Metadata Service 3.1, §3). Service.Verify checks one that was downloaded before, without a network; Index.Save
// keeps the little of it that people ask for; Models looks it up, also while another process imports a newer one.
//
// Whether a certificate of the chain was revoked since is not checked: that takes a network (§3.2 asks for it).
package metadata
