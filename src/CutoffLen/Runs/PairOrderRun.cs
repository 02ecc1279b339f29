using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Runs;

/// <summary>The order of the pairs of each query head by their contribution to its scores, saved with the model for <c>dpe:topk</c>.</summary>
public static class PairOrderRun
{
    /// <summary>Measures a model on texts and saves it with the order.</summary>
    /// <param name="model">The model; its own position method is kept.</param>
    /// <param name="data">Files, folders and globs to measure on.</param>
    /// <param name="length">Tokens of each document that are read; shorter documents are left out.</param>
    /// <param name="documents">The most documents.</param>
    /// <param name="folder">Folder of the new checkpoint.</param>
    /// <param name="display">Shows progress.</param>
    /// <param name="stop">Stops it; nothing is written.</param>
    /// <returns>The documents measured.</returns>
    /// <exception cref="Common.UserException">No document is long enough, or the folder holds other files.</exception>
    public static int Run(
        ModelSession model, IReadOnlyList<string> data, int length, int documents, string folder, IRunDisplay? display = null, CancellationToken stop = default)
    {
        var texts = EvaluationDocuments.Read(data, model.Folder.Tokenizer, cancel: stop).LongEnough(length, documents);
        var config = model.Folder.Config;
        var methods = config.SetupFor(PositionMethods.Auto, length).Layers;
        var sums = new double[config.NumHiddenLayers * config.NumAttentionHeads * config.RotaryDim / 2];
        (display ?? RunProgress.None).Show("pairs", texts.Count, steps =>
        {
            foreach (var (at, text) in texts.Index())
            {
                stop.ThrowIfCancellationRequested();
                foreach (var (pair, contribution) in PairContributions.Measure(model.Network, methods, text.Tokens[..length]).Index())
                {
                    sums[pair] += contribution;
                }

                steps.Report(new ProgressStep(at + 1, text.Name));
            }

            return texts.Count;
        });
        model.Folder.SaveAs(folder, config with { PairRanks = PairContributions.Ranks(sums, config.RotaryDim / 2) });
        return texts.Count;
    }
}
