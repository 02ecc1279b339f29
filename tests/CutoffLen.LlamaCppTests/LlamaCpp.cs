using System.Text;
using LLama;
using LLama.Common;
using LLama.Native;

namespace CutoffLen.LlamaCppTests;

/// <summary>A GGUF file in llama.cpp, on one thread of the CPU, with keys and values in float32.</summary>
internal sealed class LlamaCpp : IDisposable
{
    private readonly ModelParams settings;
    private readonly LLamaWeights weights;

    // What llama.cpp says of the files it loads; errors come as exceptions too.
    static LlamaCpp() => NativeLibraryConfig.All.WithLogCallback((_, _) => { });

    /// <summary>Loads a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="context">Tokens to allocate; 0 loads the vocabulary only.</param>
    public LlamaCpp(string file, int context = 0)
    {
        settings = new ModelParams(file)
        {
            VocabOnly = context == 0, ContextSize = (uint)context, BatchSize = (uint)context, UBatchSize = 512, GpuLayerCount = 0, Threads = 1, BatchThreads = 1,
            TypeK = GGMLType.GGML_TYPE_F32, TypeV = GGMLType.GGML_TYPE_F32, FlashAttention = false,
        };
        weights = LLamaWeights.LoadFromFile(settings);
    }

    /// <summary>The file's metadata, as text.</summary>
    public IReadOnlyDictionary<string, string> Metadata => weights.Metadata;

    /// <summary>The tokens that end a generation.</summary>
    public IEnumerable<int> Ends => Enumerable.Range(0, weights.NativeHandle.Vocab.Count).Where(id => ((LLamaToken)id).IsEndOfGeneration(weights.NativeHandle.Vocab));

    /// <summary>The ids of a text; special tokens in it are found.</summary>
    public int[] Encode(string text, bool addSpecial) => Array.ConvertAll(weights.Tokenize(text, addSpecial, special: true, Encoding.UTF8), token => (int)token);

    /// <summary>The negative log-likelihood of each token but the first, in nats.</summary>
    public double[] Nll(int[] ids)
    {
        using var context = weights.CreateContext(settings);
        var batch = new LLamaBatch();
        foreach (var (at, id) in ids.Index())
        {
            batch.Add(id, at, LLamaSeqId.Zero, logits: true);
        }

        Assert.Equal(DecodeResult.Ok, context.NativeHandle.Decode(batch));
        return [.. Enumerable.Range(0, ids.Length - 1).Select(at => NegativeLog(context.NativeHandle.GetLogitsIth(at), ids[at + 1]))];
    }

    /// <summary>The likeliest tokens after a prompt, one after another.</summary>
    public int[] Continue(int[] prompt, int count)
    {
        using var context = weights.CreateContext(settings);
        var ids = prompt.ToList();
        for (var done = 0; ids.Count < prompt.Length + count;)
        {
            var batch = new LLamaBatch();
            for (; done < ids.Count; done++)
            {
                batch.Add(ids[done], done, LLamaSeqId.Zero, logits: done == ids.Count - 1);
            }

            Assert.Equal(DecodeResult.Ok, context.NativeHandle.Decode(batch));
            var logits = context.NativeHandle.GetLogitsIth(batch.TokenCount - 1).ToArray();
            ids.Add(Array.IndexOf(logits, logits.Max()));
        }

        return [.. ids.Skip(prompt.Length)];
    }

    public void Dispose() => weights.Dispose();

    private static double NegativeLog(ReadOnlySpan<float> logits, int target)
    {
        var (largest, sum) = (float.NegativeInfinity, 0.0);
        foreach (var logit in logits)
        {
            largest = Math.Max(largest, logit);
        }

        foreach (var logit in logits)
        {
            sum += Math.Exp(logit - (double)largest);
        }

        return Math.Log(sum) + largest - logits[target];
    }
}
