package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/keyway-dev/keyway/host/internal/plugin/folder"
)

// pluginNames is what go-plugin appends to a private directory's path for a socket, at most; maxSuffix is what
// os.MkdirTemp appends to a name.
const (
	pluginNames = len("/plugin-dir4294967295/plugin4294967295")
	maxSuffix   = len("4294967295")
)

// maxSocketPath is how many bytes the path of a Unix socket may have.
func maxSocketPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}

// privateDir makes a folder in runDir, or in the system's temporary directory, that only this user can enter.
func privateDir(runDir string) (*folder.Folder, error) {
	dir, prefix, err := runFolder(runDir)
	if err != nil {
		return nil, err
	}
	return folder.New(dir, prefix)
}

// runFolder gives the directory of private directories, and how their names begin.
func runFolder(runDir string) (dir, prefix string, err error) {
	prefix = "p"
	if runDir == "" {
		runDir, prefix = os.TempDir(), "keyway-"
		if runtime.GOOS != "windows" && len(runDir) > roomFor(prefix) {
			runDir = "/tmp"
		}
	}
	runDir, err = filepath.Abs(runDir)
	if err != nil {
		return "", "", err
	}
	if room := roomFor(prefix); unixSockets && len(runDir) > room {
		return "", "", fmt.Errorf("run directory %q has %d bytes; the path of a socket in it leaves room for %d", runDir, len(runDir), room)
	}
	return runDir, prefix, os.MkdirAll(runDir, 0o700)
}

// roomFor is how long the path of a run directory may be.
func roomFor(prefix string) int {
	return maxSocketPath() - pluginNames - len("/") - len(prefix) - maxSuffix
}
