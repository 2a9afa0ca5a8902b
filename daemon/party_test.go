package daemon

import (
	"context"
	"testing"

	"fob/fido/relyingparty"
	"fob/ipc"
)

// party is a relying party, and the client by which its users come.
type party struct {
	client  *ipc.Client
	rp      *relyingparty.RelyingParty
	records []relyingparty.Record
}

func newParty(t *testing.T, client *ipc.Client) *party {
	rp, err := relyingparty.New("example.com", "https://example.com")
	if err != nil {
		t.Error(err)
	}
	return &party{client: client, rp: rp}
}

// register gives the party another record, once it has verified the response.
func (p *party) register(ctx context.Context, who *person, device string, c relyingparty.RegistrationChoices) error {
	options, session, err := p.rp.BeginRegistration(relyingparty.User{Name: "alice"}, c)
	if err != nil {
		return err
	}
	request := ipc.CeremonyRequest{Options: options, Origin: "https://example.com", Device: device}
	response, err := p.client.Register(ctx, request, who)
	if err != nil {
		return err
	}
	record, err := p.rp.FinishRegistration(session, response)
	if err == nil {
		p.records = append(p.records, *record)
	}
	return err
}

// signIn signs in by any of the records, and verifies the response.
func (p *party) signIn(ctx context.Context, who *person, device string, c relyingparty.SignInChoices) error {
	options, session, err := p.rp.BeginSignIn(p.records, c)
	if err != nil {
		return err
	}
	request := ipc.CeremonyRequest{Options: options, Origin: "https://example.com", Device: device}
	response, err := p.client.SignIn(ctx, request, who)
	if err == nil {
		_, err = p.rp.FinishSignIn(session, p.records, response)
	}
	return err
}
