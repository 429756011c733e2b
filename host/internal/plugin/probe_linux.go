package plugin

import (
	"bytes"
	"fmt"
	"os"
)

// frozen reports whether a signal has stopped the process. One that a debugger holds is not.
func frozen(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return ok && len(after) > 0 && after[0] == 'T'
}
