using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>A sequence with the position ids of its tokens.</summary>
internal sealed record PositionedSequence(TrainingSequence Sequence, TokenPositions Positions);

/// <summary>The input of one forward and backward pass: B rows of n tokens, all of a row or those of this rank.</summary>
/// <param name="Tokens">[B, n] int64.</param>
/// <param name="Targets">[B, n] int64, <see cref="TrainingSequence.Ignore"/> where no token is predicted.</param>
/// <param name="Plans">How attention sees positions; they belong to <see cref="MicroBatches"/>.</param>
/// <param name="TokenIndices">[B*n] the index of each token among those of all sequences; 0 for padding.</param>
/// <param name="Positions">Computes for each token of a row, [n], its position id, 0 for padding, and the <see cref="TokenPositions.Span"/> of its document.</param>
internal sealed record MicroBatch(
    Tensor Tokens, Tensor Targets, AttentionPlans Plans, int[] TokenIndices, Func<(int[] Ids, int[] DocumentLengths)> Positions);

/// <summary>
/// Turns sequences into the tensors and the plans of one forward pass. Rows with equal position ids share plans, which are
/// kept for the next ones. Other rows are joined into one long row, whose documents attention keeps apart.
/// </summary>
/// <param name="layers">The position method of each layer.</param>
/// <param name="model">The model.</param>
/// <param name="path">What computes attention where it can.</param>
/// <param name="context">
/// The ranks that share each row; null for none. Rows whose length is no multiple of 2P are padded. Padding has no loss, and no other
/// token attends to it, so it changes no number.
/// </param>
internal sealed class MicroBatches(LayerPlan layers, LlamaForCausalLM model, AttentionPath path, ICollectives? context = null) : IDisposable
{
    private readonly ContextChunks? chunks = context is null ? null : ContextChunks.Of(context);
    private LayerPlan layers = layers;
    private TokenPositions? planned;
    private AttentionPlans? plans;

    /// <summary>The position method of each layer.</summary>
    public LayerPlan Layers
    {
        get => layers;
        set => (layers, planned) = (value, null);
    }

    /// <summary>The pass of sequences of equal lengths.</summary>
    public MicroBatch Of(IReadOnlyList<PositionedSequence> sequences)
    {
        var alike = sequences.All(one => SamePositions(one.Positions, sequences[0].Positions));
        var positions = alike ? sequences[0].Positions : Join(sequences);
        int[] tokens = [.. sequences.SelectMany(one => one.Sequence.Tokens)];
        int[] targets = [.. sequences.SelectMany(one => one.Sequence.Targets)];
        return new MicroBatch(
            Ids(tokens, 0), Ids(targets, TrainingSequence.Ignore), PlansFor(positions), Own([.. Enumerable.Range(0, tokens.Length)], 0),
            () => (Own(positions.Ids, 0), Own(positions.SpanOfDocument(), 1)));

        Tensor Ids(int[] ofAll, int padding) =>
            tensor(Own(ofAll, padding), ScalarType.Int64).view(tokens.Length / positions.Length, -1).to(model.Device); // [B, n]

        int[] Own(int[] ofAll, int padding) => chunks is null
            ? ofAll
            : [.. ofAll.Chunk(positions.Length).SelectMany(row => chunks.OwnOf<int>([.. row, .. Enumerable.Repeat(padding, chunks.PaddedLength(row.Length) - row.Length)]))];
    }

    public void Dispose() => plans?.Dispose();

    private AttentionPlans PlansFor(TokenPositions positions)
    {
        if (plans is null || planned is null || !SamePositions(positions, planned))
        {
            plans?.Dispose();
            var padded = chunks is null ? positions : positions.Padded(chunks.PaddedLength(positions.Length));
            plans = AttentionPlans.Create(layers, padded, model.Config, model.Device, path, workspace: model.Workspace, context: context);
            planned = positions;
        }

        return plans;
    }

    private static bool SamePositions(TokenPositions one, TokenPositions other) =>
        one.Ids.AsSpan().SequenceEqual(other.Ids) && one.DocumentStarts.AsSpan().SequenceEqual(other.DocumentStarts);

    private static TokenPositions Join(IReadOnlyList<PositionedSequence> sequences)
    {
        var (ids, starts) = (new List<int>(), new List<int>());
        foreach (var one in sequences)
        {
            starts.AddRange(one.Positions.DocumentStarts.Select(start => ids.Count + start));
            ids.AddRange(one.Positions.Ids);
        }

        return new TokenPositions([.. ids], [.. starts]);
    }
}
