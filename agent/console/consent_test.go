package console

import (
	"context"
	"testing"

	"github.com/sallyport/sallyport/session"
)

func (c *controls) Asked() []Asking { return []Asking{{Session: "S-x", Code: "483912"}} }

func (c *controls) Answer(a Answer, how session.Means) (Answered, error) {
	if how != session.ByCommand {
		return Answered{}, session.Errorf(session.Invalid, "That came by the socket.")
	}
	return Answered(a), nil
}

func TestConsentByCommand(t *testing.T) {
	path, _, _ := serve(t)
	client, id := Client{path}, session.NewID().Session()
	if all, err := client.Asked(context.Background()); err != nil || len(all) != 1 || all[0].Code != "483912" {
		t.Errorf("%+v, %v", all, err)
	}
	for _, accept := range []bool{true, false} {
		if got, err := client.Answer(context.Background(), Answer{id, accept}); err != nil || got != (Answered{id, accept}) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, err := client.Answer(context.Background(), Answer{"S-x", true}); session.KindOf(err) != session.Invalid {
		t.Error(err)
	}
	for _, body := range []string{`{"session":"` + id + `","accept":"yes"}`, `{"session":"` + id + `","accept":true,"accept":false}`, `{"accept":true}`, `[]`, `{"session":"` + id + `","how":"page"}`} {
		if _, err := parseAnswer([]byte(body)); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", body, err)
		}
	}
}
