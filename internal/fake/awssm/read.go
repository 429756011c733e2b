package awssm

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

func (x *secret) arn() string {
	return "arn:aws:secretsmanager:eu-west-1:" + Account + ":secret:" + x.name + "-AbCdEf"
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// find gives a secret by its name or ARN.
func (s *Server) find(id string) (*secret, error) {
	for _, x := range s.secrets {
		if x.name == id || x.arn() == id || strings.HasPrefix(id, "arn:") && x.arn() == id+"-AbCdEf" {
			return x, nil
		}
	}
	return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

// live gives one that is not scheduled for deletion.
func (s *Server) live(id string) (*secret, error) {
	x, err := s.find(id)
	if err == nil && !x.deleted.IsZero() {
		return nil, refuse("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	return x, err
}

func (x *secret) byStage(stage string) *version {
	for _, v := range x.versions {
		if slices.Contains(v.stages, stage) {
			return v
		}
	}
	return nil
}

func (x *secret) byID(id string) *version {
	for _, v := range x.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

func (s *Server) get(in input) (output, error) {
	x, err := s.live(in.SecretId)
	if err != nil {
		return nil, err
	}
	stage := in.VersionStage
	if stage == "" && in.VersionId == "" {
		stage = current
	}
	v := x.byStage(stage)
	if in.VersionId != "" {
		v = x.byID(in.VersionId)
	}
	if v == nil {
		return nil, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for %s%s", stage, in.VersionId)
	}
	return x.value(v), nil
}

func (x *secret) value(v *version) output {
	out := output{"ARN": x.arn(), "Name": x.name, "VersionId": v.id, "VersionStages": v.stages, "CreatedDate": seconds(v.created)}
	if v.text != nil {
		out["SecretString"] = *v.text
	} else {
		out["SecretBinary"] = v.binary
	}
	return out
}

func (s *Server) batch(in input) (output, error) {
	if len(in.SecretIdList) == 0 || len(in.SecretIdList) > 20 {
		return nil, refuse("ValidationException", "SecretIdList must have 1 to 20 members")
	}
	values, errs := []output{}, []output{}
	for _, id := range in.SecretIdList {
		out, err := s.act("GetSecretValue", input{SecretId: id})
		if r, ok := err.(refusal); ok { //nolint:errorlint // we made it
			errs = append(errs, output{"SecretId": id, "ErrorCode": r.Type, "Message": r.Message})
			continue
		}
		values = append(values, out)
	}
	return output{"SecretValues": values, "Errors": errs}, nil
}

func (x *secret) stages() map[string][]string {
	out := map[string][]string{}
	for _, v := range x.versions {
		if len(v.stages) > 0 {
			out[v.id] = v.stages
		}
	}
	return out
}

func (x *secret) meta() output {
	out := output{"ARN": x.arn(), "Name": x.name, "CreatedDate": seconds(x.created), "LastChangedDate": seconds(x.changed), "Tags": x.tags}
	if x.description != "" {
		out["Description"] = x.description
	}
	if x.kmsKey != "" {
		out["KmsKeyId"] = x.kmsKey
	}
	if !x.deleted.IsZero() {
		out["DeletedDate"] = seconds(x.deleted)
	}
	return out
}

func (s *Server) describe(in input) (output, error) {
	x, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	if x.purging {
		if x.looks++; x.looks > s.PurgeLooks {
			delete(s.secrets, x.name)
			return s.describe(in)
		}
	}
	out := x.meta()
	out["VersionIdsToStages"] = x.stages()
	var replicas []output
	for _, r := range x.replicas {
		replicas = append(replicas, output{"Region": r, "Status": "InSync"})
	}
	out["ReplicationStatus"] = replicas
	return out, nil
}

var words = regexp.MustCompile(`[/_+=.@-]`)

// list finds names as AWS does: by prefix, and by a later word of a name that begins so.
func (s *Server) list(in input) (output, error) {
	from, _ := strconv.Atoi(in.NextToken)
	var all []output
	for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
		x := s.secrets[name]
		if !x.deleted.IsZero() || len(in.Filters) > 0 && !matches(name, in.Filters[0].Values[0]) {
			continue
		}
		out := x.meta()
		out["SecretVersionsToStages"] = x.stages()
		all = append(all, out)
	}
	end := min(from+in.MaxResults, len(all))
	out := output{"SecretList": all[min(from, end):end]}
	if end < len(all) {
		out["NextToken"] = strconv.Itoa(end)
	}
	return out, nil
}

func matches(name, prefix string) bool {
	for _, w := range words.Split(name, -1) {
		if strings.HasPrefix(w, prefix) {
			return true
		}
	}
	return strings.HasPrefix(name, prefix)
}

// listVersions gives them in no order, two a page.
func (s *Server) listVersions(in input) (output, error) {
	x, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	from, _ := strconv.Atoi(in.NextToken)
	end := min(from+2, len(x.versions))
	var list []output
	for _, v := range x.versions[min(from, end):end] {
		list = append(list, output{"VersionId": v.id, "VersionStages": v.stages, "CreatedDate": seconds(v.created)})
	}
	out := output{"ARN": x.arn(), "Name": x.name, "Versions": list}
	if end < len(x.versions) {
		out["NextToken"] = strconv.Itoa(end)
	}
	return out, nil
}
