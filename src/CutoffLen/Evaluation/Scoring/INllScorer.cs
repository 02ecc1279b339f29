using CutoffLen.Common;

namespace CutoffLen.Evaluation.Scoring;

/// <summary>Tokens that a model reads, and which of its predictions are wanted.</summary>
/// <param name="Inputs">[T] token ids.</param>
/// <param name="Positions">Indices of the inputs after which a prediction is scored, ascending.</param>
/// <param name="Targets">The token that follows each of these positions.</param>
public sealed record ScoringRequest(int[] Inputs, int[] Positions, int[] Targets);

/// <summary>A model with a position method, as the measurements see it.</summary>
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
