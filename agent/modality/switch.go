package modality

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/wording"
)

// Set is the operator's switch: a person says how an asset stands. What permits something
// holds for a while, an hour unless it is said; what restricts holds until something else
// is said, and counts at once, whatever the disk does. When Set returns, everybody who is
// stopped by it was told.
func (b *Book) Set(asset string, state session.ModalityState, hold time.Duration, by string) (Standing, error) {
	now := b.now()
	r := Reading{State: state, At: now, Detail: "set by " + wording.Line(by, maxDetail/2)}
	if err := b.settable(asset, state, hold); err != nil {
		return Standing{}, err
	}
	if relaxes(state) {
		if hold == 0 {
			hold = min(DefaultFor, b.longest(asset))
		}
		r.Until = now.Add(hold)
	}
	var err error
	if relaxes(state) {
		err = b.relax(asset, r)
	} else {
		b.mu.Lock()
		b.put(asset, Operator, r)
		b.mu.Unlock()
		b.Look()
		err = b.keep("", r)
	}
	b.Look()
	s, _ := b.Standing(asset)
	if err != nil && session.KindOf(err) == session.Internal {
		err = &session.Error{Kind: session.Internal, Message: "The switch is not on the agent's disk: a restart would forget it.", Next: "Make room there and set it again.", Err: err}
	}
	return s, err
}

// relax takes a word of the operator that permits something: on the disk first, and not
// when something else was said meanwhile.
func (b *Book) relax(asset string, r Reading) error {
	b.mu.Lock()
	was := b.said[asset][Operator]
	b.mu.Unlock()
	if err := b.keep(asset, r); err != nil {
		return err
	}
	b.mu.Lock()
	same := b.said[asset][Operator] == was
	if same {
		b.put(asset, Operator, r)
	}
	b.mu.Unlock()
	if same {
		return nil
	}
	err := session.Errorf(session.Refused, "The switch of %.64s was set to something else at the same time.", asset).WithNext("Look at it and set it again.")
	return errors.Join(err, b.keep("", r))
}

// longest is for how long the operator permits something at the most.
func (b *Book) longest(asset string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return min(cmp.Or(b.rules[asset].Longest, MaxFor), MaxFor)
}

func (b *Book) settable(asset string, state session.ModalityState, hold time.Duration) error {
	b.mu.Lock()
	rule, ok := b.rules[asset]
	b.mu.Unlock()
	switch {
	case !ok:
		return session.Errorf(session.Invalid, "%.64s has no interlock here, so it has no state to set.", asset).
			WithNext("See sallyport-agent state ls; the sources of a state stand in the agent's configuration, under modality.")
	case !slices.Contains(rule.Sources, Operator):
		return session.Errorf(session.Refused, "The operator's switch is no source of %.64s's state.", asset).WithNext("Add operator to its sources in the agent's configuration.")
	case !slices.Contains(session.ModalityStates(), state):
		return session.Errorf(session.Invalid, "%.32q is no state of a scanner.", state).WithNext(fmt.Sprintf("The states are %v.", session.ModalityStates()))
	case !relaxes(state) && hold != 0:
		return session.Errorf(session.Invalid, "%s permits nothing, so it holds until something else is set.", state).WithNext("Leave out for how long.")
	case hold < 0 || hold > b.longest(asset):
		return session.Errorf(session.Invalid, "A switch holds for %s at the most here.", b.longest(asset)).WithNext("Set it again when it has run out.")
	}
	return nil
}

// kept is the file of the switches.
type kept struct {
	V        int                   `json:"v"`
	Switches map[string]keptSwitch `json:"switches"`
}

type keptSwitch struct {
	State  session.ModalityState `json:"state"`
	Detail string                `json:"detail"`
	At     time.Time             `json:"at"`
	Until  time.Time             `json:"until,omitzero"`
}

// keep writes all switches down as they are now, and one that is about to be set, unless
// its name is empty.
func (b *Book) keep(about string, to Reading) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	file := kept{V: 1, Switches: map[string]keptSwitch{}}
	b.mu.Lock()
	for asset, said := range b.said {
		if r, ok := said[Operator]; ok {
			file.Switches[asset] = keptSwitch{r.State, r.Detail, r.At.UTC(), r.Until.UTC()}
		}
	}
	b.mu.Unlock()
	if about != "" {
		file.Switches[about] = keptSwitch{to.State, to.Detail, to.At.UTC(), to.Until.UTC()}
	}
	body, err := json.Marshal(file)
	if err != nil {
		return err
	}
	return durable.Write(b.path, append(body, '\n'))
}

func readSwitches(path string) (map[string]Reading, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	return parseSwitches(body)
}

// parseSwitches reads what keep wrote, and nothing else.
func parseSwitches(body []byte) (map[string]Reading, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	var file kept
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || file.V != 1 {
		return nil, errors.New("the file of the switches is not as the agent wrote it")
	}
	all := map[string]Reading{}
	for asset, s := range file.Switches {
		lasting := s.Until.Sub(s.At)
		if !session.ValidName(asset) || !slices.Contains(session.ModalityStates(), s.State) || relaxes(s.State) && (lasting <= 0 || lasting > MaxFor) {
			return nil, fmt.Errorf("the switch of %.64q is one that nobody sets", asset)
		}
		all[asset] = Reading{State: s.State, Detail: wording.Line(s.Detail, maxDetail), At: s.At, Until: s.Until}
	}
	return all, nil
}
