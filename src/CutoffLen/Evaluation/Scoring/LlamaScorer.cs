using CutoffLen.Common;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Evaluation.Scoring;

/// <summary>
/// A <see cref="LlamaForCausalLM"/> under position methods. The head runs over the scored positions only, chunk by chunk:
/// logits are never [T, V]. Rotary tables are kept for the length of the last forward.
/// </summary>
/// <param name="model">The network.</param>
/// <param name="layers">The position method of each layer.</param>
/// <param name="path">The attention path, fused or blocked.</param>
public sealed class LlamaScorer(LlamaForCausalLM model, LayerPlan layers, AttentionPath path = AttentionPath.Blocked) : INllScorer, IAnswerScorer, IDisposable
{
    private AttentionPlans? lastPlans;

    /// <inheritdoc/>
    public bool DependsOnLength => layers.DependsOnLength;

    /// <inheritdoc/>
    public float[][] Nll(IReadOnlyList<ScoringRequest> batch)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var length = batch[0].Inputs.Length;
        var tokens = tensor([.. batch.SelectMany(request => request.Inputs)], ScalarType.Int64).view(batch.Count, -1).to(model.Device); // [B, T]
        var hidden = model.Hidden(tokens, PlansFor(length)).flatten(0, 1); // [B*T, C]
        var scored = batch.SelectMany((request, row) => request.Positions.Select(p => ((long)row * length) + p)).ToArray();
        var targets = tensor([.. batch.SelectMany(request => request.Targets)], ScalarType.Int64).to(model.Device);
        var wanted = scored.Length == hidden.shape[0] ? hidden : hidden.index_select(0, tensor(scored).to(model.Device)); // [N, C]
        var nll = TokenLikelihood.NegativeLog(model, wanted, targets).cpu().data<float>().ToArray();
        CheckFinite(nll, batch, tokens);

        var results = new float[batch.Count][];
        for (int row = 0, at = 0; row < batch.Count; at += results[row].Length, row++)
        {
            results[row] = nll[at..(at + batch[row].Positions.Length)];
        }

        return results;
    }

    /// <inheritdoc/>
    /// <remarks>
    /// The prompt is read once. Decoding and every answer continue from its KV cache. Under a length-dependent method an
    /// answer's score is that of one forward over the prompt and the answer without its last token. The prompt is then read
    /// once for each length of answers, and again for each decoded token.
    /// </remarks>
    public AnswerScores Answer(int[] prompt, int decode, IReadOnlyList<int[]> answers)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var decoder = new KvCacheDecoder(model, layers, prompt.Length + Math.Max(decode, answers.Select(answer => answer.Length).DefaultIfEmpty().Max()));
        int[] row = prompt;
        for (var n = 0; n < decode; n++)
        {
            using var step = NewDisposeScope();
            row = [.. row, (int)model.Logits(decoder.Hidden(row)).argmax(-1).item<long>()];
        }

        var nll = new double[answers.Count];
        foreach (var (n, answer) in answers.Index().OrderBy(indexed => indexed.Item.Length))
        {
            using var step = NewDisposeScope();
            decoder.Rewind(prompt.Length);
            var hidden = decoder.Hidden([.. prompt, .. answer.AsSpan(..^1)], last: answer.Length); // [n, C]
            nll[n] = TokenLikelihood.NegativeLog(model, hidden, tensor(answer, ScalarType.Int64).to(model.Device)).sum().item<float>();
        }

        return new AnswerScores(row[prompt.Length..], nll);
    }

    /// <summary>The likeliest token after each token of rows of equal length, the tokens before it given (teacher forcing).</summary>
    public int[][] Likeliest(IReadOnlyList<int[]> rows)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var tokens = tensor([.. rows.SelectMany(row => row)], ScalarType.Int64).view(rows.Count, -1).to(model.Device); // [B, T]
        var hidden = model.Hidden(tokens, PlansFor(rows[0].Length)); // [B, T, C]
        return [.. Enumerable.Range(0, rows.Count).Select(row =>
        {
            using var step = NewDisposeScope();
            var likeliest = model.Logits(hidden[row]).argmax(-1).to(ScalarType.Int32).cpu(); // [T]
            return likeliest.data<int>().ToArray();
        })];
    }

    /// <inheritdoc/>
    public void Dispose() => lastPlans?.Dispose();

    private AttentionPlans PlansFor(int length)
    {
        if (lastPlans?.Length != length)
        {
            lastPlans?.Dispose();
            lastPlans = AttentionPlans.Create(layers, TokenPositions.Sequential(length), model.Config, model.Device, path, workspace: model.Workspace);
        }

        return lastPlans;
    }

    private void CheckFinite(float[] nll, IReadOnlyList<ScoringRequest> batch, Tensor tokens)
    {
        var bad = Array.FindIndex(nll, value => !float.IsFinite(value));
        if (bad < 0)
        {
            return;
        }

        var row = 0;
        for (; bad >= batch[row].Positions.Length; row++)
        {
            bad -= batch[row].Positions.Length;
        }

        throw new UserException(
            $"the model's prediction after position {batch[row].Positions[bad]} of a window of {batch[row].Inputs.Length} tokens is not a number; {WhereItBegins(tokens[row].unsqueeze(0))}");
    }

    /// <summary>Runs the layers again to name the first whose output holds an infinity or a NaN.</summary>
    private string WhereItBegins(Tensor tokens)
    {
        using var scope = NewDisposeScope();
        var plans = PlansFor((int)tokens.shape[1]);
        var x = model.Embed(tokens);
        if (FirstBadPosition(x) is { } embedded)
        {
            return $"it begins in the embedding, at position {embedded}";
        }

        for (var n = 0; n < model.Layers.Count; n++)
        {
            model.Layers[n].Forward(x, plans[n], null, model.Workspace);
            if (FirstBadPosition(x) is { } position)
            {
                return $"it begins in layer {n}, at position {position}" + Advice();
            }
        }

        return $"it begins in the final norm or the head{Advice()}";
    }

    private string Advice() => model.Dtype == ScalarType.Float32 ? "" : "; --dtype fp32 may help";

    private static long? FirstBadPosition(Tensor x)
    {
        var bad = x[0].isfinite().logical_not().any(-1, false); // [T]
        return bad.any().item<bool>() ? bad.to(ScalarType.Int32).argmax().item<long>() : null;
    }
}
