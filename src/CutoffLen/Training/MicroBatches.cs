using CutoffLen.Data;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>A sequence and the positions that its tokens are trained at.</summary>
internal sealed record PlacedSequence(TrainingSequence Sequence, TokenPositions Positions);

/// <summary>
/// Turns sequences into the tensors and the plan of one forward pass. Rows that stand at the same positions share a
/// plan, kept for as long as they come; rows that do not are joined into one long row, whose documents attention keeps
/// apart as it does inside a row.
/// </summary>
internal sealed class MicroBatches(PositionMethod method, LlamaConfig config, Device device, AttentionPath path) : IDisposable
{
    private TokenPositions? planned;
    private AttentionPlan? plan;

    /// <summary>Tokens [B, T], targets [B, T], both int64, and the plan, which stays this object's.</summary>
    public (Tensor Tokens, Tensor Targets, AttentionPlan Plan) Of(IReadOnlyList<PlacedSequence> rows)
    {
        var alike = rows.All(row => SamePlaces(row.Positions, rows[0].Positions));
        var positions = alike ? rows[0].Positions : Join(rows);
        long[] shape = [alike ? rows.Count : 1, positions.Length];
        return (Ids(rows.SelectMany(row => row.Sequence.Tokens), shape), Ids(rows.SelectMany(row => row.Sequence.Targets), shape), PlanFor(positions));
    }

    public void Dispose() => plan?.Dispose();

    private AttentionPlan PlanFor(TokenPositions positions)
    {
        if (plan is null || !SamePlaces(positions, planned!))
        {
            plan?.Dispose();
            plan = AttentionPlan.Create(method, positions, config, device, path);
            planned = positions;
        }

        return plan;
    }

    private Tensor Ids(IEnumerable<int> ids, long[] shape) => tensor([.. ids.Select(id => (long)id)], shape).to(device);

    private static bool SamePlaces(TokenPositions one, TokenPositions other) =>
        one.Ids.AsSpan().SequenceEqual(other.Ids) && one.DocumentStarts.AsSpan().SequenceEqual(other.DocumentStarts);

    private static TokenPositions Join(IReadOnlyList<PlacedSequence> rows)
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
