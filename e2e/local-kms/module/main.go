// Command module serves local-kms, an emulator of the AWS Key Management Service, on a free port of the loopback interface:
// its own program listens on all of them. It prints its address, keeps its keys in the folder that its argument names, and
// ends with its standard input. One thing it makes good: a ciphertext whose name of its key was changed, which local-kms
// decrypts if the call names a key, is refused as AWS does.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/nsmithuk/local-kms/src"
	"github.com/nsmithuk/local-kms/src/cmk"
	"github.com/nsmithuk/local-kms/src/config"
	"github.com/nsmithuk/local-kms/src/data"
	"github.com/nsmithuk/local-kms/src/service"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "local-kms:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	config.AWSRegion, config.AWSAccountId, config.DatabasePath = "us-east-1", "111122223333", folder
	keys := data.NewDatabase(folder)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if changed(r, keys) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"InvalidCiphertextException"}`)
			return
		}
		src.HandleRequest(w, r, keys)
	})}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println("http://" + listener.Addr().String())
	return server.Serve(listener)
}

// changed reports whether a request is to decrypt a ciphertext whose key does not exist. Those of RSA keys name none.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors
func changed(r *http.Request, keys *data.Database) bool {
	if r.Header.Get("X-Amz-Target") != "TrentService.Decrypt" {
		return false
	}
	raw, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(raw))
	var q struct {
		CiphertextBlob []byte
		KeyId          string
	}
	if err != nil || json.Unmarshal(raw, &q) != nil {
		return false
	}
	if key, err := keys.LoadKey(config.EnsureArn("key/", q.KeyId)); err == nil {
		if _, rsa := key.(*cmk.RsaKey); rsa {
			return false
		}
	}
	named, _, _, ok := service.UnpackCiphertextBlob(q.CiphertextBlob)
	if !ok {
		return false
	}
	_, err = keys.LoadKey(named)
	return err != nil
}
