using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Hardware;
using CutoffLen.Tokenization;
using CutoffLen.Training;

namespace CutoffLen.Runs;

/// <summary>Merges low-rank adapters into their base model: a plain checkpoint.</summary>
public static class MergeRun
{
    private const int TokensWithoutTokenizer = 256;

    // Only the two losses on it are compared, so any text does.
    private const string BundledText =
        """
        A map is folded before it is carried. The traveller who unfolds it in the rain sees one valley at a time and must
        remember how the roads ran on the part that is hidden again. On the first day the river was on the left, and the
        village had two bridges; on the third day somebody says that there was only one. Whoever wrote the notes in the
        margin knew the country better: "From the mill it is forty minutes to the pass, with a load an hour. Do not trust
        the path along the stream after a storm." She had counted steps between the stones, 1,200 in all, and drawn a
        small cross where the water is good. In winter the numbers do not hold. What is near on paper can be far on
        foot, and what was said at the beginning of a long walk is often needed at its end.
        """;

    /// <summary>Merges, and compares the perplexity of a text before and after.</summary>
    /// <param name="adapters">Folder of the adapters.</param>
    /// <param name="output">Folder of the merged checkpoint.</param>
    /// <param name="baseModel">Folder of the base model; null for the one that the adapters name.</param>
    /// <param name="text">The text to compare on; null for a built-in one, or for token ids where the base model has no tokenizer.</param>
    /// <param name="compute">Device and dtype, chosen when the folders are checked; null for auto.</param>
    /// <param name="stop">Stops it before anything is written.</param>
    /// <exception cref="UserException">A folder does not hold what it should, or the perplexity moved more than the dtype explains.</exception>
    public static MergeReport Run(
        string adapters, string output, string? baseModel = null, string? text = null, Func<DeviceAndDtype>? compute = null, CancellationToken stop = default)
    {
        if (!AdapterCheckpoint.ExistsIn(adapters))
        {
            throw new UserException($"--model {adapters}: holds no adapter_config.json; merge takes a folder of adapters, such as final/ of a run with method: lora");
        }

        baseModel ??= AdapterConfig.Read(adapters).BaseIn(adapters);
        var ids = CheckpointTokenizer.ExistsIn(baseModel) || text is not null
            ? CheckpointTokenizer.Open(baseModel).Encode(text ?? BundledText)
            : Spread(HuggingFaceCheckpoint.ReadConfig(baseModel, out _).VocabSize);
        var chosen = compute?.Invoke() ?? DeviceAndDtype.Choose();
        return LoraMerge.Merge(adapters, baseModel, output, [ids], chosen.Dtype, chosen.Device, stop);
    }

    /// <summary>Token ids spread over a vocabulary, the same each time: for a base model without a tokenizer.</summary>
    private static int[] Spread(int vocabulary)
    {
        var random = new KeyedRandom(0, "merge");
        return [.. Enumerable.Range(0, TokensWithoutTokenizer).Select(_ => (int)random.Below(vocabulary))];
    }
}
