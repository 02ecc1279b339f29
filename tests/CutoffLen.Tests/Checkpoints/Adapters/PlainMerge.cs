using System.Text.Json.Nodes;

namespace CutoffLen.Tests.Checkpoints.Adapters;

/// <summary>
/// Merges adapters by plain float64 arithmetic over the files, module by module as the tensors' names have them: W + s B A,
/// with DoRA times m / ||W + s B A||; what is trained whole replaces. The caller says each scale.
/// </summary>
internal static class PlainMerge
{
    private const string Embedding = "model.embed_tokens.weight";
    private const string Head = "lm_head.weight";

    /// <summary>The merged weights by name, the head always among them.</summary>
    /// <param name="baseModel">Folder of the base model.</param>
    /// <param name="adapters">Folder of the adapters.</param>
    /// <param name="scale">The scale of a module.</param>
    public static Dictionary<string, PlainTensor> Of(string baseModel, string adapters, Func<string, double> scale)
    {
        var weights = PlainTensors.Read(Path.Combine(baseModel, "model.safetensors"));
        weights.TryAdd(Head, weights[Embedding]);
        var initial = JsonNode.Parse(File.ReadAllText(Path.Combine(adapters, "adapter_config.json")))!["init_lora_weights"]?.ToString();
        var stored = PlainTensors.Read(Path.Combine(adapters, "adapter_model.safetensors"))
            .ToDictionary(tensor => tensor.Key["base_model.model.".Length..], tensor => tensor.Value);
        foreach (var (name, tensor) in stored.Where(tensor => !tensor.Key.Contains(".lora_")))
        {
            weights[name.Replace(".base_layer", "")] = tensor;
            if (name == "model.embed_tokens.base_layer.weight")
            {
                weights[Head] = tensor; // one parameter in a tied base model, which the tests have where they store it
            }
        }

        foreach (var (name, a) in stored.Where(tensor => tensor.Key.Contains("lora_A.weight") || tensor.Key.Contains("lora_embedding_A")))
        {
            var module = name[..name.LastIndexOf(".lora_", StringComparison.Ordinal)];
            var isEmbedding = name.Contains("lora_embedding_A");
            var weight = weights[module + ".weight"];
            weight = isEmbedding ? weight.Transposed() : weight; // [out, in]
            if (!isEmbedding && initial is "pissa" or "olora")
            {
                weight = Residual(weight, a.Rows, initial, scale(module));
            }

            weight = weight.Plus(scale(module), stored[name.Replace("lora_A", "lora_B").Replace("embedding_A", "embedding_B")].Times(a));
            if (stored.TryGetValue(module + ".lora_magnitude_vector", out var magnitude))
            {
                weight = Rescaled(weight, magnitude);
            }

            weights[module + ".weight"] = isEmbedding ? weight.Transposed() : weight;
            if (stored.TryGetValue(module + ".lora_B.bias", out var bias))
            {
                weights[module + ".bias"] = weights[module + ".bias"].Plus(scale(module), bias);
            }
        }

        return weights;
    }

    private static PlainTensor Rescaled(PlainTensor weight, PlainTensor magnitude)
    {
        var result = weight.Copy();
        for (var row = 0; row < weight.Rows; row++)
        {
            var norm = Math.Sqrt(Enumerable.Range(0, weight.Columns).Sum(column => weight[row, column] * weight[row, column]));
            for (var column = 0; column < weight.Columns; column++)
            {
                result[row, column] *= magnitude[0, row] / norm;
            }
        }

        return result;
    }

    /// <summary>
    /// What is left of W when Q Q^T W is taken away: of pissa Q spans the first left singular vectors, of olora the first columns
    /// of W, and the scale is taken too.
    /// </summary>
    private static PlainTensor Residual(PlainTensor weight, int rank, string initial, double scale)
    {
        var q = PlainTensor.Zeros(weight.Rows, rank);
        for (var row = 0; row < weight.Rows; row++)
        {
            for (var column = 0; column < rank; column++)
            {
                q[row, column] = weight[row, column];
            }
        }

        Orthonormalize(q);
        // Subspace iteration turns any subspace to that of the largest singular values.
        for (var step = 0; initial == "pissa" && step < 3000; step++)
        {
            q = weight.Times(weight.Transposed().Times(q));
            Orthonormalize(q);
        }

        return weight.Plus(initial == "pissa" ? -1 : -scale, q.Times(q.Transposed().Times(weight)));
    }

    /// <summary>Gram-Schmidt, in place.</summary>
    private static void Orthonormalize(PlainTensor columns)
    {
        for (var column = 0; column < columns.Columns; column++)
        {
            for (var earlier = 0; earlier < column; earlier++)
            {
                var dot = Enumerable.Range(0, columns.Rows).Sum(row => columns[row, column] * columns[row, earlier]);
                for (var row = 0; row < columns.Rows; row++)
                {
                    columns[row, column] -= dot * columns[row, earlier];
                }
            }

            var norm = Math.Sqrt(Enumerable.Range(0, columns.Rows).Sum(row => columns[row, column] * columns[row, column]));
            for (var row = 0; row < columns.Rows; row++)
            {
                columns[row, column] /= norm;
            }
        }
    }
}
