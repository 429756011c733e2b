package plugin

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// A plugin that does as the contract says ends with its lifeline; one that does not ends with the death signal.
func TestAPluginEndsWithItsHost(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"", "stubborn"} {
		t.Run("mode "+mode, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "kw-host")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			if err := os.Link(fakeBinary, dir+"/fake"); err != nil {
				t.Fatal(err)
			}
			host := exec.Command(self)
			host.Env = append(os.Environ(), hostMode+"="+dir, "FAKE="+mode)
			host.Stderr = os.Stderr
			out, err := host.StdoutPipe()
			if err == nil {
				err = host.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			var pid int
			_, err = fmt.Fscan(out, &pid)
			_ = host.Process.Kill()
			_, _ = io.Copy(io.Discard, out)
			_ = host.Wait()
			if err != nil {
				t.Fatalf("the host did not print its plugin's process: %v", err)
			}
			eventually(t, "the plugin has ended", func() bool { return !alive(pid) })
		})
	}
}
