namespace CutoffLen.Tests.Evaluation;

/// <summary>
/// Each protocol as its source's loop computes it, written out over a function that gives the NLL of a target after the
/// tokens read before it: nll(tokens read, index of the target's predecessor, target).
/// </summary>
internal static class Sources
{
    public const int Bos = 1;

    public delegate float Model(int[] read, int position, int target);

    public static double Of(string protocol, int[] tokens, int length, int stride, Model model) => protocol switch
    {
        "pi" => Sliding(tokens, length, stride, model, perToken: true),
        "hf-stride" => Sliding(tokens, length, stride, model, perToken: false),
        "prefix" or "yarn-trunc" => Mean(Losses(tokens[..length], length - 1, model)),
        "longlora-all" => LongLora(tokens, length, stride, model),
        "llamacpp-half" => LlamaCpp(tokens, length, model),
        "lmeval-disjoint" => LmEval(tokens, length, model),
        _ => throw new ArgumentException(protocol),
    };

    /// <summary>for begin in range(0, n, stride): labels[:-target_length] = -100; loss = model(ids, labels).loss</summary>
    private static double Sliding(int[] tokens, int length, int stride, Model model, bool perToken)
    {
        var windows = new List<List<float>>();
        var previousEnd = 0;
        for (var begin = 0; begin < tokens.Length; begin += Math.Min(stride, length))
        {
            var end = Math.Min(begin + length, tokens.Length);
            var losses = Losses(tokens[begin..end], end - previousEnd, model);
            if (losses.Count > 0)
            {
                windows.Add(losses);
            }

            previousEnd = end;
            if (end == tokens.Length)
            {
                break;
            }
        }

        return perToken ? Mean(windows.SelectMany(w => w)) : windows.Average(Mean);
    }

    /// <summary>all_ix = range(0, n - length, stride); all_ix.pop(); mean of the windows' losses</summary>
    private static double LongLora(int[] tokens, int length, int stride, Model model)
    {
        var starts = new List<int>();
        for (var i = 0; i < tokens.Length - length; i += stride)
        {
            starts.Add(i);
        }

        starts.RemoveAt(starts.Count - 1);
        return starts.Average(i => Mean(Losses(tokens[i..(i + length)], length, model)));
    }

    /// <summary>chunks of n_ctx, tokens[start] = BOS, logits at positions n_ctx/2 .. n_ctx - 2</summary>
    private static double LlamaCpp(int[] tokens, int length, Model model)
    {
        var losses = new List<float>();
        for (var chunk = 0; chunk < tokens.Length / length; chunk++)
        {
            var read = tokens[(chunk * length)..((chunk + 1) * length)];
            read[0] = Bos;
            for (var position = length / 2; position < length - 1; position++)
            {
                losses.Add(model(read, position, read[position + 1]));
            }
        }

        return Mean(losses);
    }

    /// <summary>get_rolling_token_windows(context_len=1) through make_disjoint_window</summary>
    private static double LmEval(int[] withBos, int length, Model model)
    {
        var tokens = withBos[1..];
        var losses = new List<float>();
        var first = Math.Min(length, tokens.Length);
        Add([Bos, .. tokens[..(first - 1)]], tokens[..first]);
        for (var predicted = first; predicted < tokens.Length;)
        {
            var count = Math.Min(tokens.Length - predicted, length);
            var end = predicted + count;
            // Index -1 would be Python's wrap-around; the prefix token stands there.
            int[] source = [Bos, .. tokens];
            Add(source[(end - length)..end], tokens[(end - count)..end]);
            predicted += count;
        }

        return Mean(losses);

        void Add(int[] context, int[] continuation)
        {
            int[] joined = [.. context[..(context.Length - (continuation.Length - 1))], .. continuation];
            var read = joined[..^1];
            for (var i = 0; i < continuation.Length; i++)
            {
                losses.Add(model(read, read.Length - continuation.Length + i, continuation[i]));
            }
        }
    }

    /// <summary>Hugging Face's causal loss: the last <paramref name="labels"/> tokens are labels, shifted by one inside.</summary>
    private static List<float> Losses(int[] read, int labels, Model model)
    {
        var losses = new List<float>();
        for (var target = Math.Max(1, read.Length - labels); target < read.Length; target++)
        {
            losses.Add(model(read, target - 1, read[target]));
        }

        return losses;
    }

    private static double Mean(IEnumerable<float> values) => values.Average(value => (double)value);
}
