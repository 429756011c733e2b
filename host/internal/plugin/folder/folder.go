// Package folder makes private folders: each is its maker's while that lives, and removed by the next maker of another when
// that was killed.
package folder

import (
	"errors"
	"io/fs"
	"os"
)

// Folder is a private folder. Its lock tells other processes that its maker lives.
type Folder struct {
	path string
	lock *os.File // nil where folders cannot be locked
}

// New makes a folder in dir that only this user can enter, named prefix and a number, and removes those of the same kind that
// dead makers left there.
func New(dir, prefix string) (*Folder, error) {
	sweep(dir, prefix)
	for {
		path, err := os.MkdirTemp(dir, prefix) // its mode is 0700
		if err != nil {
			return nil, err
		}
		held, err := lock(path)
		switch {
		case err == nil:
			return &Folder{path, held}, nil
		case errors.Is(err, fs.ErrNotExist): // another maker swept it before it was locked
		default:
			_ = os.Remove(path)
			return nil, err
		}
	}
}

// Path is where the folder is.
func (f *Folder) Path() string { return f.path }

// Remove removes the folder with what is in it; again is fine. It is not safe for concurrent use.
func (f *Folder) Remove() error {
	err := os.RemoveAll(f.path)
	if f.lock != nil {
		_ = f.lock.Close()
		f.lock = nil
	}
	return err
}
