package main

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/keyway-dev/keyway/sdk"
)

// maxBatch is how many secrets a call takes.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html
const maxBatch = 20

// wanted is one name of a batch, and where its answer goes.
type wanted struct {
	id, name string
	result   *sdk.GetResult
}

// GetBatch reads the current versions, 20 a call, all calls at once. It never asks one by one: that is the host's, which
// hears PermissionDenied where secretsmanager:BatchGetSecretValue is missing. A call that fails otherwise fails for its names,
// unless none was answered.
func (st *store) GetBatch(ctx context.Context, r sdk.BatchRequest) ([]sdk.GetResult, error) {
	out := make([]sdk.GetResult, len(r.Names))
	var asked []wanted
	for i, name := range r.Names {
		id, err := st.secretID("get", name)
		if out[i].Err = err; err == nil {
			out[i].Err = sdk.Errorf(sdk.Internal, "get %q: the answer of the batch lacks it", name)
			asked = append(asked, wanted{id, name, &out[i]})
		}
	}
	chunks := slices.Collect(slices.Chunk(asked, maxBatch))
	failures := make([]error, len(chunks))
	var wg sync.WaitGroup
	for i, chunk := range chunks {
		wg.Go(func() { failures[i] = st.readChunk(ctx, chunk) })
	}
	wg.Wait()
	for i, err := range failures {
		if err == nil {
			continue
		}
		if !slices.Contains(failures, nil) || isCode(err, sdk.NotFound, sdk.PermissionDenied, sdk.FailedPrecondition, sdk.InvalidArgument, sdk.Unimplemented) {
			return nil, err
		}
		for _, w := range chunks[i] {
			*w.result = sdk.GetResult{Err: err}
		}
	}
	return out, nil
}

// readChunk makes one call, and more while AWS has not answered for every name.
func (st *store) readChunk(ctx context.Context, chunk []wanted) error {
	in := &secretsmanager.BatchGetSecretValueInput{}
	for _, w := range chunk {
		in.SecretIdList = append(in.SecretIdList, w.id)
	}
	for range chunk { // each page answers for one at least, or the calls would not end
		out, err := do(ctx, st, "get_batch", chunk[0].name+" and others", "BatchGetSecretValue", st.client.BatchGetSecretValue, in)
		if err != nil {
			return err
		}
		for _, w := range chunk {
			w.take(out)
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return nil
		}
	}
	return nil
}

// take looks for the name's answer.
func (w wanted) take(out *secretsmanager.BatchGetSecretValueOutput) {
	for _, v := range out.SecretValues {
		if named(w.id, aws.ToString(v.Name), aws.ToString(v.ARN)) {
			w.result.Secret, w.result.Err = secretOf(w.id, w.name, v)
		}
	}
	for _, e := range out.Errors {
		if aws.ToString(e.SecretId) == w.id {
			w.result.Err = calling("get", w.name, "GetSecretValue").Item(aws.ToString(e.ErrorCode), aws.ToString(e.Message))
		}
	}
}
