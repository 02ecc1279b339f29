using CutoffLen.Common;

namespace CutoffLen.Evaluation.Scoring;

/// <summary>Tokens that a model reads, and the predictions that are wanted.</summary>
/// <param name="Inputs">[T] token ids.</param>
/// <param name="Positions">Indices of the inputs whose predictions are scored, ascending.</param>
/// <param name="Targets">The token that follows each of these positions.</param>
public sealed record ScoringRequest(int[] Inputs, int[] Positions, int[] Targets);

/// <summary>A model with a position method that scores tokens.</summary>
public interface INllScorer
{
    /// <summary>Whether a token's score depends on how many tokens are read after it (dynamic NTK, LongRoPE, ...).</summary>
    bool DependsOnLength { get; }

    /// <summary>
    /// Negative log-likelihoods in nats, from a float32 log-softmax, of every request's targets. The result depends on
    /// nothing but the requests, to the last bit.
    /// </summary>
    /// <param name="batch">Requests with the same number of inputs.</param>
    /// <returns>For each request one value for each of its positions.</returns>
    /// <exception cref="UserException">The model gave a value that is not a number; the message names where.</exception>
    float[][] Nll(IReadOnlyList<ScoringRequest> batch);
}

/// <summary>A model's answer to a prompt.</summary>
/// <param name="Decoded">Tokens of greedy decoding after the prompt.</param>
/// <param name="Nll">The NLL of each given answer after the prompt, nats.</param>
public sealed record AnswerScores(int[] Decoded, double[] Nll);

/// <summary>A model that answers prompts.</summary>
public interface IAnswerScorer
{
    /// <summary>Decodes greedily after a prompt and scores given answers after the same prompt.</summary>
    /// <param name="prompt">Token ids.</param>
    /// <param name="decode">How many tokens to decode.</param>
    /// <param name="answers">Token ids of each answer.</param>
    AnswerScores Answer(int[] prompt, int decode, IReadOnlyList<int[]> answers);
}
