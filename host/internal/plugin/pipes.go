package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// rootDir is the working directory of every plugin: none of its files are there.
var rootDir = string(os.PathSeparator)

// holdout is how long output is awaited after a process has ended. Only a process that it left behind, in another group, can
// hold its pipes longer.
const holdout = 250 * time.Millisecond

type pipe struct{ read, write *os.File }

// pipes carry a process's output.
type pipes []pipe

func openPipes(n int) (pipes, error) {
	var p pipes
	for range n {
		r, w, err := os.Pipe()
		if err != nil {
			p.close()
			return nil, err
		}
		p = append(p, pipe{r, w})
	}
	return p, nil
}

// closeWriters closes the process's ends in the host, after the start.
func (p pipes) closeWriters() {
	for _, x := range p {
		_ = x.write.Close()
	}
}

func (p pipes) closeReaders() {
	for _, x := range p {
		_ = x.read.Close()
	}
}

func (p pipes) close() {
	p.closeWriters()
	p.closeReaders()
}

// drain waits, after the process has ended, for the readers to see the end of its output; a pipe that is still held then is
// closed under them.
func (p pipes) drain(readers *sync.WaitGroup) {
	t := time.AfterFunc(holdout, p.closeReaders)
	defer t.Stop()
	readers.Wait()
}

// startable explains why the system did not start a program.
func startable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: the file is gone, or the interpreter or loader it names is missing: %w", ErrNotExecutable, err)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%w: it is built for another system or architecture, or no program at all: %w", ErrNotExecutable, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: the permission is missing, or its file system is mounted noexec: %w", ErrNotExecutable, err)
	}
	return err
}
