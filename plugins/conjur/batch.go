package main

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	// maxQuery is how many bytes the ids of one batch may have in its URL: servers and proxies take request lines of 8 KiB.
	// https://nginx.org/en/docs/http/ngx_http_core_module.html#large_client_header_buffers
	maxQuery = 6 << 10
	// batchWorkers is how many batches of one call are under way together.
	batchWorkers = 4
)

// GetBatch reads all variables or none: Conjur refuses a batch as a whole. Values come in base64, since those that are not
// UTF-8 would fail it too.
// https://docs.cyberark.com/conjur-open-source/latest/en/content/developer/conjur_api_batch_retrieve.htm
func (st *store) GetBatch(ctx context.Context, r sdk.BatchRequest) ([]sdk.GetResult, error) {
	parts, err := st.split(r.Names)
	if err != nil {
		return nil, err
	}
	values := make([]map[string]string, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(batchWorkers)
	for i, ids := range parts {
		group.Go(func() error {
			return st.doJSON(ctx, call{op: "get batch", object: ids[0], needs: "execute on every variable of the batch", build: func() (*http.Request, error) {
				return st.batchRequest(ids)
			}}, &values[i])
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, part := range values {
		for id, value := range part {
			all[id] = value
		}
	}
	results := make([]sdk.GetResult, len(r.Names))
	for i, name := range r.Names {
		if results[i].Secret.Value, err = decoded(all[st.full("variable", st.id(name))]); err != nil {
			return nil, sdk.Errorf(sdk.Unimplemented, "get batch %q: %w", name, err)
		}
	}
	return results, nil
}

// batchRequest takes the slash off the path that the official client puts there.
func (st *store) batchRequest(ids []string) (*http.Request, error) {
	r, err := st.requests.RetrieveBatchSecretsRequest(ids, true)
	if err == nil {
		r.URL.Path, r.URL.RawPath = strings.TrimSuffix(r.URL.Path, "/"), ""
	}
	return r, err
}

// split makes batches that fit into a URL, each id once: one that comes twice is an error of the server (500). An id with a
// comma fits into none, for the server takes the list apart there.
func (st *store) split(names []string) (parts [][]string, err error) {
	size := maxQuery + 1
	seen := map[string]bool{}
	for _, name := range names {
		id := st.full("variable", st.id(name))
		if strings.Contains(id, ",") {
			return nil, sdk.Errorf(sdk.InvalidArgument, "get batch %q: an id with a comma cannot be in a batch", name)
		}
		if seen[id] {
			continue
		}
		seen[id] = true
		n := len(url.QueryEscape(id + ","))
		if size+n > maxQuery {
			parts, size = append(parts, nil), 0
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], id)
		size += n
	}
	return parts, nil
}

// decoded reads Ruby's base64, which has line breaks. Servers before 1.11 do not encode, and no value tells: there every
// value is read alone.
func decoded(text string) (sdk.Sensitive, error) {
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(value) == 0 {
		return sdk.Sensitive{}, sdk.Errorf(sdk.Unimplemented, "the server's batch answers no base64")
	}
	return sdk.NewSensitive(value), nil
}
