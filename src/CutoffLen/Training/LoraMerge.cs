using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>What merging did to a text.</summary>
/// <param name="Tokens">Tokens that were scored.</param>
/// <param name="NllBefore">Mean negative log-likelihood with the adapters beside the weights, nats per token.</param>
/// <param name="NllAfter">The same with the adapters added into the weights.</param>
/// <param name="Allowed">How far the two may be apart, nats.</param>
public sealed record MergeReport(long Tokens, double NllBefore, double NllAfter, double Allowed)
{
    /// <summary>Perplexity before.</summary>
    public double PerplexityBefore => Math.Exp(NllBefore);

    /// <summary>Perplexity after.</summary>
    public double PerplexityAfter => Math.Exp(NllAfter);
}

/// <summary>Adds adapters into the weights of their base model: a plain checkpoint that answers as both did together.</summary>
public static class LoraMerge
{
    private const int MostTokens = 4096;

    /// <summary>
    /// Writes the merged checkpoint, unless a text shows that it does not answer as the adapters did. Before merging the adapters
    /// are side branches of the forward pass, and no weight of the base model is changed. Adapters of a quantized model are added to its
    /// dequantized weights.
    /// </summary>
    /// <param name="adapters">Folder of the adapters.</param>
    /// <param name="baseModel">Folder of the base model.</param>
    /// <param name="output">Folder to write.</param>
    /// <param name="texts">Token ids to compare on; of each the first 4096.</param>
    /// <param name="dtype">Of the merged weights.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="stop">Stops it before anything is written.</param>
    /// <exception cref="UserException">Files do not fit together, or the perplexity moved more than the dtype explains.</exception>
    public static MergeReport Merge(
        string adapters, string baseModel, string output, IReadOnlyList<int[]> texts, ScalarType dtype, Device device, CancellationToken stop = default)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var checkpoint = HuggingFaceCheckpoint.Open(baseModel);
        using var stored = StoredAdapters.Open(adapters, checkpoint.Config);
        stop.ThrowIfCancellationRequested();
        var (before, tokens) = MeanNll(() => stored.LoadBeside(checkpoint.Weights(device, dtype, stored.Model.Quantization)), texts);
        stop.ThrowIfCancellationRequested();
        using var merged = stored.LoadMerged(checkpoint.Weights(device, dtype, stored.Model.Quantization));
        var (after, _) = MeanNll(merged, texts);
        var report = new MergeReport(tokens, before, after, Allowed(dtype));
        if (!(Math.Abs(after - before) <= report.Allowed))
        {
            throw new UserException(FormattableString.Invariant(
                $"not merged: on {tokens} tokens the loss is {before:0.00000} nats with the adapters and {after:0.00000} merged, further apart than {dtype} explains ({report.Allowed}); merge with --dtype fp32"));
        }

        stop.ThrowIfCancellationRequested();
        CheckpointWriter.Save(output, stored.Model, merged.named_parameters().Select(p => (p.name, (Tensor)p.parameter)), source: baseModel);
        return report;
    }

    /// <summary>
    /// Merging rounds each weight once more. That moves a mean loss by far less than the rounding of the base model's
    /// own weights did: bfloat16 keeps 8 bits, float32 24.
    /// </summary>
    private static double Allowed(ScalarType dtype) => dtype == ScalarType.Float32 ? 1e-4 : 2e-2;

    /// <summary>Of a model that is needed for this alone: two models are never held at once.</summary>
    private static (double Nll, long Tokens) MeanNll(Func<LlamaForCausalLM> load, IReadOnlyList<int[]> texts)
    {
        using var scope = NewDisposeScope();
        using var model = load();
        return MeanNll(model, texts);
    }

    private static (double Nll, long Tokens) MeanNll(LlamaForCausalLM model, IReadOnlyList<int[]> texts)
    {
        var (sum, count) = (0.0, 0L);
        foreach (var ids in texts.Select(text => text.Take(MostTokens).ToArray()).Where(ids => ids.Length > 1))
        {
            using var scope = NewDisposeScope();
            var setup = model.Config.SetupFor(PositionMethods.Auto, Math.Max(ids.Length, model.Config.MaxPositionEmbeddings));
            using var plans = AttentionPlans.Create(setup.Layers, TokenPositions.Sequential(ids.Length), model.Config, model.Device);
            var tokens = tensor(ids, ScalarType.Int64).to(model.Device);
            var hidden = model.Hidden(tokens.unsqueeze(0), plans).squeeze(0);
            sum += TokenLikelihood.OfDocument(model, hidden, tokens).sum().item<float>();
            count += ids.Length - 1;
        }

        return (sum / count, count);
    }
}
