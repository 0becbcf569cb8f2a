package replay

import (
	"slices"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// SceneFrom is the scene at which a player begins that shows segment n: of that segment, or of
// the last one before it, of so many, at which all that stood is known. What happened from
// there to the end of n is in it as long as that is not much; otherwise it ends where the
// earlier segment does, and the player goes on from it.
func SceneFrom(src Scenes, n uint32, back int) (recordings.Scene, error) {
	scene, err := src.Scene(n)
	last, size := scene, weight(scene.Events)
	rest := [][]session.Event{scene.Events}
	for s := scene; err == nil && back > 1 && !s.Complete; back-- {
		if s, err = src.Scene(s.Segment - 1); err != nil {
			return s, err
		}
		rest = append(rest, s.Events)
		size += weight(s.Events)
		if !s.Complete {
			continue
		}
		scene = s
		if size <= atOnceBytes {
			slices.Reverse(rest)
			scene.Events, scene.Segment, scene.To = slices.Concat(rest...), last.Segment, last.To
		}
	}
	return scene, err
}

func weight(all []session.Event) (n int) {
	for _, e := range all {
		n += len(e.Data)
	}
	return n
}
