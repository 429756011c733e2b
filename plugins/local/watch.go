package main

import (
	"context"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// pollInterval is how often Watch looks at the file. A look costs an open and a read of its head.
const pollInterval = 2 * time.Second

// Watch hints that anything may have changed whenever the file is another one, or comes or goes. It polls, since that works
// alike on every system and in a sandbox. It returns when ctx ends.
func (s *store) Watch(ctx context.Context, emit func(sdk.Event) error) error {
	last := s.file.glance()
	if err := emit(sdk.Event{}); err != nil {
		return err
	}
	ticker := time.NewTicker(s.poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		m := s.file.glance()
		if m == last {
			continue
		}
		last = m
		if err := emit(sdk.Event{}); err != nil {
			return err
		}
	}
}

// glance gives the mark of the file, and that of an absent one for a file that cannot be read: readers get the error.
func (f *file) glance() mark {
	h, m, err := f.open()
	if err != nil || h == nil {
		return mark{}
	}
	_ = h.Close()
	return m
}
