package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// actAs is what the test binary does as a second process: role, path of the store and a name of its own come in the
// environment.
func actAs(role string) int {
	ctx := context.Background()
	path, me := os.Getenv("KEYWAY_LOCAL_TEST_PATH"), os.Getenv("KEYWAY_LOCAL_TEST_NAME")
	opened, err := plugin().Open(ctx, sdk.Env{}, settingsJSON(path, nil))
	if err == nil {
		switch s := opened.Store.(*store); role {
		case "counter":
			err = count(ctx, s, me, 25)
		case "writer":
			err = writeForEver(ctx, s, me)
		default:
			err = fmt.Errorf("no role %q", role)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child prepares the test binary as another process.
func child(t *testing.T, role, path, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "KEYWAY_LOCAL_TEST_ROLE="+role, "KEYWAY_LOCAL_TEST_PATH="+path, "KEYWAY_LOCAL_TEST_NAME="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// count adds 1 to a shared counter n times, and puts a secret of its own each time.
func count(ctx context.Context, s *store, me string, n int) error {
	for done := 0; done < n; {
		r := sdk.PutRequest{Name: "counter", If: sdk.IfAbsent()}
		total := 0
		switch old, err := s.Get(ctx, sdk.GetRequest{Name: "counter"}); {
		case err == nil:
			if total, err = strconv.Atoi(string(old.Value.Reveal())); err != nil {
				return err
			}
			r.If = sdk.IfVersion(old.Version)
		case !errors.Is(err, sdk.NotFound):
			return err
		}
		r.Value = sdk.SensitiveString(strconv.Itoa(total + 1))
		switch _, err := s.Put(ctx, r); {
		case errors.Is(err, sdk.Aborted), errors.Is(err, sdk.AlreadyExists):
			continue
		case err != nil:
			return err
		}
		if _, err := s.Put(ctx, sdk.PutRequest{Name: fmt.Sprintf("%s/%d", me, done), Value: sdk.SensitiveString(me)}); err != nil {
			return err
		}
		done++
	}
	return nil
}

func TestWritersInSeveralProcessesLoseNothing(t *testing.T) {
	path := storePath(t)
	here := openStore(t, path, nil)
	var all sync.WaitGroup
	for i := range 2 {
		cmd := child(t, "counter", path, fmt.Sprint("process", i))
		all.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		})
	}
	for i, s := range []*store{here, here, openStore(t, path, nil)} {
		all.Go(func() {
			if err := count(t.Context(), s, fmt.Sprint("store", i), 25); err != nil {
				t.Errorf("store %d: %v", i, err)
			}
		})
	}
	all.Wait()
	wantValue(t, here, "counter", "125")
	if n := len(listed(t, here, "", sdk.MaxPage, nil)); n != 1+125 {
		t.Errorf("%d secrets are in the store, want 126", n)
	}
}

// writeForEver puts one secret again and again, and says each version after it was written.
func writeForEver(ctx context.Context, s *store, name string) error {
	for i := 0; ; i++ {
		out, err := s.Put(ctx, sdk.PutRequest{Name: name, Value: sdk.SensitiveString(strings.Repeat(strconv.Itoa(i%10), 1+rand.IntN(64<<10)))})
		if err != nil {
			return err
		}
		fmt.Println(out.Version)
	}
}

func TestAKilledWriterLosesNothingItWasToldIsWritten(t *testing.T) {
	path := storePath(t)
	last := 0
	for range 15 {
		last = max(last, killWriter(t, path))
		got, err := openStore(t, path, nil).Get(t.Context(), sdk.GetRequest{Name: "a"})
		if err != nil {
			t.Fatalf("Get after SIGKILL: %v", err)
		}
		if v, err := strconv.Atoi(got.Version); err != nil || v < last {
			t.Fatalf("version %q is current (%v), and %d was reported as written", got.Version, err, last)
		}
		if b := got.Value.Reveal(); strings.Trim(string(b), string(b[:1])) != "" {
			t.Fatal("the value is a mixture of two")
		}
	}
	s := openStore(t, path, nil)
	mustPut(t, s, "b", "1")
	if content(t, path+".tmp") != "absent" {
		t.Error("the next write left what the killed writer had begun")
	}
}

// killWriter starts a writer, kills it at a random moment after a few writes and answers the last version it reported.
func killWriter(t *testing.T, path string) (last int) {
	t.Helper()
	cmd := child(t, "writer", path, "a")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	kill := func() { _ = cmd.Process.Kill() }
	for n := 1; lines.Scan(); n++ {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatalf("the writer says %q", lines.Text())
		}
		if n == 3 {
			time.AfterFunc(time.Duration(rand.IntN(10_000))*time.Microsecond, kill)
		}
	}
	_ = cmd.Wait() // it was killed
	return last
}

func TestWaitingForTheLockEndsWithTheCaller(t *testing.T) {
	path := storePath(t)
	s := openStore(t, path, nil)
	mustPut(t, s, "a", "1")
	unlock, err := lock(t.Context(), path+".lock")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for _, other := range []*store{s, openStore(t, path, nil)} {
		_, err = other.Put(ctx, sdk.PutRequest{Name: "a", Value: sdk.SensitiveString("2")})
		wantCode(t, err, sdk.DeadlineExceeded, "Put while another writer holds the lock")
	}
	wantValue(t, s, "a", "1") // readers take no lock
	unlock()
	mustPut(t, s, "a", "3")
	wantValue(t, s, "a", "3")
}

func TestReadersSeeWhatOthersWrite(t *testing.T) {
	path := storePath(t)
	reader, writer := openStore(t, path, nil), openStore(t, path, nil)
	for i := range 200 { // of one length and faster than the clock of the file system: neither size nor time tells them apart
		v := fmt.Sprintf("%03d", i)
		mustPut(t, writer, "a", v)
		wantValue(t, reader, "a", v)
	}
}
