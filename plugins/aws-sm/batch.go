package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keyway-dev/keyway/sdk"
)

// maxBatch is how many secrets a call takes.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
const maxBatch = 20

// batch collects the answers by the id that was asked for.
type batch struct {
	mu      sync.Mutex
	names   map[string]string // by id
	results map[string]sdk.GetResult
}

// GetBatch reads the current versions, 20 a call, all calls at once. It never asks one by one: that is the host's, which
// hears PermissionDenied where secretsmanager:BatchGetSecretValue is missing.
func (st *store) GetBatch(ctx context.Context, r sdk.BatchRequest) ([]sdk.GetResult, error) {
	b := batch{names: map[string]string{}, results: map[string]sdk.GetResult{}}
	out := make([]sdk.GetResult, len(r.Names))
	ids := make([]string, len(r.Names))
	for i, name := range r.Names {
		if ids[i], out[i].Err = st.secretID("get", name); out[i].Err == nil {
			b.names[ids[i]] = name
		}
	}
	asked := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return b.names[id] == "" })
	if err := st.readAll(ctx, &b, slices.Collect(slices.Chunk(asked, maxBatch))); err != nil {
		return nil, err
	}
	for i, id := range ids {
		if out[i].Err != nil {
			continue
		}
		result, ok := b.results[id]
		if !ok {
			result.Err = sdk.Errorf(sdk.Internal, "get %q: the answer of the batch lacks it", r.Names[i])
		}
		out[i] = result
	}
	return out, nil
}

// readAll makes the calls. One that fails fails for its names, unless asking one by one may help, or none was answered.
func (st *store) readAll(ctx context.Context, b *batch, chunks [][]string) error {
	failures := make([]error, len(chunks))
	var wg sync.WaitGroup
	for i, ids := range chunks {
		wg.Go(func() { failures[i] = st.readChunk(ctx, b, ids) })
	}
	wg.Wait()
	failed := 0
	for i, err := range failures {
		if err == nil {
			continue
		}
		if failed++; failed == len(chunks) || isCode(err, sdk.NotFound, sdk.PermissionDenied, sdk.FailedPrecondition, sdk.InvalidArgument, sdk.Unimplemented) {
			return errors.Join(err)
		}
		for _, id := range chunks[i] {
			if _, ok := b.results[id]; !ok {
				b.results[id] = sdk.GetResult{Err: err}
			}
		}
	}
	return nil
}

// readChunk makes one call, and more while AWS has not answered for every name.
func (st *store) readChunk(ctx context.Context, b *batch, ids []string) error {
	in := &secretsmanager.BatchGetSecretValueInput{SecretIdList: ids}
	for range ids { // each page answers for one at least, or the calls would not end
		out, err := do(ctx, st, "get_batch", b.names[ids[0]]+" and others", "BatchGetSecretValue", st.client.BatchGetSecretValue, in)
		if err != nil {
			return err
		}
		b.take(ids, out)
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return nil
		}
	}
	return nil
}

func (b *batch) take(ids []string, out *secretsmanager.BatchGetSecretValueOutput) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range out.SecretValues {
		i := slices.IndexFunc(ids, func(id string) bool { return named(id, aws.ToString(v.Name), aws.ToString(v.ARN)) })
		if i < 0 {
			continue
		}
		s, err := secretOf(ids[i], b.names[ids[i]], v)
		b.results[ids[i]] = sdk.GetResult{Secret: s, Err: err}
	}
	for _, e := range out.Errors {
		if id := aws.ToString(e.SecretId); slices.Contains(ids, id) {
			b.results[id] = sdk.GetResult{Err: item(b.names[id], aws.ToString(e.ErrorCode), aws.ToString(e.Message))}
		}
	}
}
