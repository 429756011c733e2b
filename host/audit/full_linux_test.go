package audit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/sdk"
)

// fullPath has the test binary write to this file until it is full, in place of running tests.
const fullPath = "KEYWAY_TEST_FULL"

func TestMain(m *testing.M) {
	if path := os.Getenv(fullPath); path != "" {
		if err := fill(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// fill writes until the system takes no more, which a limit on the size of files stands for: a write goes in part, and then
// not at all, as on a full disk. Then it lifts the limit.
func fill(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 10_000, Max: before.Max}); err != nil {
		return err
	}
	ctx := context.Background()
	f, err := audit.NewFile(audit.FileOptions{Path: path, Patience: time.Minute})
	if err != nil {
		return err
	}
	log := audit.NewLog(f, audit.LogOptions{})
	made := 0
	put := func(name string) error {
		return log.Change(ctx, audit.Line{Op: "put", Store: "prod", Name: name}, func(context.Context, *audit.Line) error { made++; return nil })
	}
	var refusal error
	for range 1000 {
		if refusal = put("a"); refusal != nil {
			break
		}
	}
	if sdk.CodeOf(refusal) != sdk.FailedPrecondition || !strings.Contains(refusal.Error(), "file too large") {
		return fmt.Errorf("a change on a full disk: %w; want FailedPrecondition with the system's word", refusal)
	}
	long := strings.Repeat("n", 500)                                      // which does not fit where the other did not
	log.Record(ctx, audit.Line{Event: audit.Call, Op: "get", Name: long}) // a read goes on; its line is lost
	if err := put(long); err == nil {
		return fmt.Errorf("a later change was made on a full disk")
	}
	lost := log.Dropped()
	if lost < 3 {
		return fmt.Errorf("%d lines are counted as lost, want two changes and a read", lost)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	if err := put("a"); err != nil {
		return fmt.Errorf("a change after there is room again: %w", err)
	}
	if log.Dropped() != lost {
		return fmt.Errorf("lines were lost although there is room")
	}
	fmt.Printf("made %d lost %d\n", made, lost)
	return f.Close(ctx)
}

func TestAFullDiskRefusesChangesAndTearsNoLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fullPath+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var made, lost int
	if _, err := fmt.Sscanf(string(out), "made %d lost %d", &made, &lost); err != nil {
		t.Fatalf("it printed %q: %v", out, err)
	}
	begun := 0
	var last uint64
	all := lines(t, path) // each is whole
	for _, l := range all {
		if l.Seq <= last {
			t.Errorf("seq %d comes after %d", l.Seq, last)
		}
		last = l.Seq
		if l.Code == "" {
			begun++
		}
	}
	if begun != made || made < 3 {
		t.Errorf("%d changes were made, the file tells of %d", made, begun)
	}
	if int(last) != len(all)+lost { // a lost line is a gap
		t.Errorf("the last of %d lines has seq %d, and %d were lost", len(all), last, lost)
	}
}
