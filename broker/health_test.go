package broker

import (
	"testing"
)

func TestReadinessLooksAtRoomAndDescriptors(t *testing.T) {
	if err := roomAt(t.TempDir(), 0)(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, known := disk(t.TempDir()); known && roomAt(t.TempDir(), 1<<62)(t.Context()) == nil {
		t.Error("a disk with no room is ready")
	}
	if err := enoughDescriptors(t.Context()); err != nil {
		t.Error(err)
	}
	if most := maxDescriptors(); most > 0 && sparedOf(most) == 0 {
		t.Errorf("of %d descriptors none are kept", most)
	}
}
