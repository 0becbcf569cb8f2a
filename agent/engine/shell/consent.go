package shell

import (
	"errors"
	"fmt"
	"strings"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// consent tells an engineer whose key was proven that the operator at the scanner has to
// let the session open: the first channel waits for that. Where a code is asked for, what
// it returns makes the client ask for it as the second step of its login.
func (s *sshClient) consent(t *engine.Ticket) error {
	switch s.engine.Asks(t) {
	case session.ConsentOperator:
		s.say(wording.Awaits(session.ConsentOperator, t.Asset))
	case session.ConsentCode:
		s.say(wording.Awaits(session.ConsentCode, t.Asset) + " Press Enter alone to wait until they accept.")
		asked := false
		return &gossh.PartialSuccessError{Next: gossh.ServerAuthCallbacks{
			KeyboardInteractiveCallback: func(_ gossh.ConnMetadata, ask gossh.KeyboardInteractiveChallenge) (*gossh.Permissions, error) {
				if asked {
					return nil, errors.New("the code was asked for")
				}
				asked = true
				if err := s.askCode(t, ask); err != nil {
					s.log.Info("no consent", "session", t.ID.Session(), "err", err)
					return nil, s.banner(err)
				}
				return admitted(t), nil
			},
		}}
	}
	return nil
}

// say shows the engineer a line before they are logged in.
func (s *sshClient) say(text string) {
	_ = s.early.SendAuthBanner("Sallyport: " + text + "\r\n")
}

// askCode asks the client for the code until the operator's consent is there or the asking
// is over.
func (s *sshClient) askCode(t *engine.Ticket, ask gossh.KeyboardInteractiveChallenge) error {
	q, err := s.engine.Ask(t, s.visit.Service)
	if err != nil || q == nil {
		return err
	}
	defer q.Leave()
	defer s.cutWhenOver(q)()
	prompt := []string{fmt.Sprintf("Code that the operator at %s reads out: ", t.Asset)}
	says := ""
	for range maxAnswers {
		answers, err := ask("", says, prompt, []bool{true})
		if err != nil {
			return err
		}
		select {
		case <-q.Answered():
			return q.Answer()
		default:
		}
		if len(answers) != 1 {
			return errors.New("not one answer")
		}
		if strings.TrimSpace(answers[0]) == "" { // they wait for the operator to accept
			return s.await(q, ask)
		}
		err = q.Try(answers[0])
		if err == nil {
			return nil
		}
		select {
		case <-q.Answered():
			return q.Answer()
		default:
			says = engine.Words(err)
		}
	}
	return session.Errorf(session.Refused, "That was too often.").WithNext("Connect again.")
}

// await waits for the operator to answer, as long as the client is there: it is asked nothing,
// which it answers by itself.
func (s *sshClient) await(q *engine.Question, ask gossh.KeyboardInteractiveChallenge) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-q.Answered():
			return q.Answer()
		case <-tick.C:
		}
		if _, err := ask("", "", nil, nil); err != nil {
			return err
		}
	}
}

// cutWhenOver ends a client that still waits for somebody to type long after the asking is
// over. The function that it returns ends that.
func (s *sshClient) cutWhenOver(q *engine.Question) (end func()) {
	done := make(chan struct{})
	s.conn.Go(func() {
		select {
		case <-done:
			return
		case <-q.Answered():
		}
		select {
		case <-done: // who asked says how it ended
		case <-time.After(answerTime):
			if err := q.Answer(); err != nil {
				s.say(engine.Words(err))
			}
			_ = s.nc.Close()
		}
	})
	return func() { close(done) }
}
