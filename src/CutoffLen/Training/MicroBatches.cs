using CutoffLen.Data;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>A sequence with the position ids of its tokens.</summary>
internal sealed record PositionedSequence(TrainingSequence Sequence, TokenPositions Positions);

/// <summary>
/// Turns sequences into the tensors and the plan of one forward pass. Rows with equal position ids share a plan, which is
/// kept for the next ones. Other rows are joined into one long row, whose documents attention keeps apart.
/// </summary>
internal sealed class MicroBatches(PositionMethod method, LlamaForCausalLM model, AttentionPath path) : IDisposable
{
    private TokenPositions? planned;
    private AttentionPlan? plan;

    /// <summary>Tokens [B, T], targets [B, T], both int64, and the plan, which this object owns.</summary>
    public (Tensor Tokens, Tensor Targets, AttentionPlan Plan) Of(IReadOnlyList<PositionedSequence> rows)
    {
        var alike = rows.All(row => SamePositions(row.Positions, rows[0].Positions));
        var positions = alike ? rows[0].Positions : Join(rows);
        return (Ids(row => row.Tokens), Ids(row => row.Targets), PlanFor(positions));

        Tensor Ids(Func<TrainingSequence, int[]> of) =>
            tensor([.. rows.SelectMany(row => of(row.Sequence))], ScalarType.Int64).view(-1, positions.Length).to(model.Device); // [B, T]
    }

    public void Dispose() => plan?.Dispose();

    private AttentionPlan PlanFor(TokenPositions positions)
    {
        if (plan is null || !SamePositions(positions, planned!))
        {
            plan?.Dispose();
            plan = AttentionPlan.Create(method, positions, model.Config, model.Device, path, workspace: model.Workspace);
            planned = positions;
        }

        return plan;
    }

    private static bool SamePositions(TokenPositions one, TokenPositions other) =>
        one.Ids.AsSpan().SequenceEqual(other.Ids) && one.DocumentStarts.AsSpan().SequenceEqual(other.DocumentStarts);

    private static TokenPositions Join(IReadOnlyList<PositionedSequence> rows)
    {
        var (ids, starts) = (new List<int>(), new List<int>());
        foreach (var row in rows)
        {
            starts.AddRange(row.Positions.DocumentStarts.Select(start => ids.Count + start));
            ids.AddRange(row.Positions.Ids);
        }

        return new TokenPositions([.. ids], [.. starts]);
    }
}
